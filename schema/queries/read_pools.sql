-- Read the pools of the locked resources.
-- $1 kinds, $2 resource ids.
select p.kind, p.resource_id, p.pool, p.capacity, p.held, p.taken, p.ceiling
from pools p
join unnest($1::text[], $2::text[]) as touched (kind, resource_id) using (kind, resource_id)
