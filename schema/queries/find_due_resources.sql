-- Find resources with holds, orders or parked payments whose time is over, the longest overdue first, for the sweeper.
-- $1 how many at most.
select kind, resource_id
from (
    select kind, resource_id, expires_at as due_at
    from holds
    where status = 'held' and expires_at <= clock_timestamp()
    union all
    select kind, resource_id, payment_due_at
    from orders
    where status = 'pending_payment' and payment_due_at <= clock_timestamp()
    union all
    select kind, resource_id, parked_until
    from payments
    where parked_until <= clock_timestamp()
) as due
group by kind, resource_id
order by min(due_at)
limit $1
