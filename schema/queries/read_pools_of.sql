-- Read pools of the locked resources by their names. $1 kinds, $2 resource ids, $3 names of pools.
select p.kind, p.resource_id, p.pool, p.capacity, p.held, p.taken, p.ceiling
from unnest($1::text[], $2::text[], $3::text[]) as named (kind, resource_id, pool)
join pools p using (kind, resource_id, pool)
