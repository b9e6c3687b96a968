-- Find a page of the resources with holds, orders or parked payments whose time is over, in the order of these times, for
-- the sweeper: the whole tables have them, and only the caller knows which are its own. What ends at one instant is on one
-- page, so that the next one begins behind its last instant. $1 behind which instant, $2 about how many.
-- statement_timestamp() bounds the scans of the indexes; clock_timestamp(), which may change at each row, would only filter.
select kind, resource_id, max(max(due_at)) over () as until, sum(count(*)) over ()::bigint as found
from (
    select *
    from (
        (
            select kind, resource_id, expires_at as due_at
            from holds
            where status = 'held' and expires_at > $1 and expires_at <= statement_timestamp()
            order by expires_at
            fetch first $2 rows with ties
        )
        union all
        (
            select kind, resource_id, payment_due_at
            from orders
            where status = 'pending_payment' and payment_due_at > $1 and payment_due_at <= statement_timestamp()
            order by payment_due_at
            fetch first $2 rows with ties
        )
        union all
        (
            select kind, resource_id, parked_until
            from payments
            where parked_until > $1 and parked_until <= statement_timestamp()
            order by parked_until
            fetch first $2 rows with ties
        )
    ) as each
    order by due_at
    fetch first $2 rows with ties
) as due
group by kind, resource_id
order by min(due_at)
