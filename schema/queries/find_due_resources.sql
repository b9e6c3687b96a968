-- Find resources with holds whose time is over, the longest overdue first, for the sweeper. $1 how many at most.
select kind, resource_id
from holds
where status = 'held' and expires_at <= clock_timestamp()
group by kind, resource_id
order by min(expires_at)
limit $1
