-- Read the ids of the resources of one kind in their order, from behind one of them. $1 kind, $2 after which id, $3 how many.
select resource_id
from resources
where kind = $1 and resource_id > $2
order by resource_id
limit $3
