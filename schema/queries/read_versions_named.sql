-- Read the versions of named resources, for the mirror. $1 kinds, $2 resource ids beside them.
select r.kind, r.resource_id, r.version
from unnest($1::text[], $2::text[]) as asked (kind, resource_id)
cross join lateral (
    select * from resources where resources.kind = asked.kind and resources.resource_id = asked.resource_id limit 1
) as r
