-- Lock the touched resources in the order of their ids, so that no two batches wait for each other.
-- $1 kinds, $2 resource ids.
select r.kind, r.resource_id
from resources r
join unnest($1::text[], $2::text[]) as touched (kind, resource_id) using (kind, resource_id)
order by r.kind, r.resource_id
for no key update of r
