-- Find what there is of commands that ask for holds, though the batch was decided without looking: the holds that those placed before
-- which place none now, and the steps that were taken for them all. $1 ids of holds, $2 ids of requests.
select hold_id as trace
from holds
where hold_id = any ($1::text[])
union all
select request_id
from requests
where step_of = any ($2::text[])
