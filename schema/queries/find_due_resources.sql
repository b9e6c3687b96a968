-- Find a page of the resources with holds whose time is over, in the order of these times, for the sweeper: the whole
-- table has them, and only the caller knows which are its own. Holds that end at one instant are on one page, so that
-- the next one begins behind its last instant. $1 behind which instant, $2 about how many holds.
select kind, resource_id, max(max(expires_at)) over () as until, sum(count(*)) over ()::bigint as holds
from (
    select kind, resource_id, expires_at
    from holds
    where status = 'held' and expires_at > $1 and expires_at <= clock_timestamp()
    order by expires_at
    fetch first $2 rows with ties
) as due
group by kind, resource_id
order by min(expires_at)
