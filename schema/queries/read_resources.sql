-- Read resources of one kind, a row for each pool, counting as free what holds past their expiry and orders not paid in time
-- have, and in how many milliseconds the next of these ends. $1 kind, $2 resource ids, each once.
with clock as materialized (select clock_timestamp() as now)
select r.resource_id, r.version, r.settings::text, r.capacity, r.taken, p.capacity as pool_capacity, p.held,
       p.taken as pool_taken, coalesce(due.units, 0) as due_units,
       floor(extract(epoch from next_end.ends_at - clock.now) * 1000)::bigint as expires_in_ms
from clock
cross join unnest($2::text[]) as asked (resource_id)
join resources r on r.kind = $1 and r.resource_id = asked.resource_id
join pools p on p.kind = r.kind and p.resource_id = r.resource_id
cross join lateral (
    select least(
        (
            select min(h.expires_at)
            from holds h
            where h.kind = $1 and h.resource_id = r.resource_id and h.status = 'held' and h.expires_at > clock.now
        ),
        (
            select min(o.payment_due_at)
            from orders o
            where o.kind = $1 and o.resource_id = r.resource_id and o.status = 'pending_payment'
              and o.payment_due_at > clock.now
        )
    ) as ends_at
) as next_end
cross join lateral (
    select sum((gone.units ->> p.pool)::bigint) as units
    from (
        select h.units
        from holds h
        where h.kind = $1 and h.resource_id = r.resource_id and h.status = 'held' and h.expires_at <= clock.now
        union all
        select o.units
        from orders o
        where o.kind = $1 and o.resource_id = r.resource_id and o.status = 'pending_payment'
          and o.payment_due_at <= clock.now
    ) as gone
) as due
