-- Find those of the holds that are there already, though the batch was decided without looking. $1 ids of holds.
select hold_id
from holds
where hold_id = any ($1::text[])
