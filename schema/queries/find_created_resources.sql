-- Find those of the resources that exist by now, though the batch was decided as if there were none. $1 kinds, $2 resource ids.
select r.resource_id
from resources r
join unnest($1::text[], $2::text[]) as missing (kind, resource_id) using (kind, resource_id)
