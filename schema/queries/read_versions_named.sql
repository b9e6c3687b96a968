-- Read the versions of named resources, for the mirror. $1 kinds, $2 resource ids beside them.
select kind, resource_id, version
from unnest($1::text[], $2::text[]) as asked (kind, resource_id)
join resources using (kind, resource_id)
