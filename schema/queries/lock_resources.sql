-- Lock the touched resources in the order of their ids, so that no two batches wait for each other.
-- $1 kinds, $2 resource ids.
select r.kind, r.resource_id
from (select * from unnest($1::text[], $2::text[]) as given (kind, resource_id) order by kind, resource_id) as touched
cross join lateral (
    select *
    from resources
    where resources.kind = touched.kind and resources.resource_id = touched.resource_id
    limit 1
    for no key update
) as r
