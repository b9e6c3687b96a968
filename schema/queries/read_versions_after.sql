-- Read the versions of the resources of one kind in the order of their ids, from behind one of them, for the mirror.
-- $1 kind, $2 after which id, $3 how many.
select resource_id, version
from resources
where kind = $1 and resource_id > $2
order by resource_id
limit $3
