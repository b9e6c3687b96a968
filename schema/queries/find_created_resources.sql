-- Find those of the resources that exist by now, though the batch was decided as if there were none. $1 kinds, $2 resource ids.
select r.resource_id
from unnest($1::text[], $2::text[]) as missing (kind, resource_id)
cross join lateral (
    select * from resources where resources.kind = missing.kind and resources.resource_id = missing.resource_id limit 1
) as r
