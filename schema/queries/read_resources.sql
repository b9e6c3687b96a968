-- Read resources of one kind with their counters, counting as free what holds past their expiry and orders not paid in time
-- have, and in how many milliseconds the next of these ends. Pools are read only where something is over: the counters of a
-- resource are sums over its pools. $1 kind, $2 resource ids, each once.
with clock as materialized (select clock_timestamp() as now)
select r.resource_id, r.version, r.settings::text, r.capacity, r.taken,
       r.held - due.held as held,
       r.remaining + due.remaining as remaining,
       r.oversubscribed_by - due.oversubscribed_by as oversubscribed_by,
       floor(extract(epoch from next_end.ends_at - clock.now) * 1000)::bigint as expires_in_ms
from clock
cross join unnest($2::text[]) as asked (resource_id)
join resources r on r.kind = $1 and r.resource_id = asked.resource_id
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
    select coalesce(sum(past.units), 0)::bigint as held,
           coalesce(sum(greatest(0, free.units + past.units) - greatest(0, free.units)), 0)::bigint as remaining,
           coalesce(sum(greatest(0, -free.units) - greatest(0, -free.units - past.units)), 0)::bigint as oversubscribed_by
    from (
        select u.key as pool, sum(u.value::bigint)::bigint as units
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
        cross join lateral jsonb_each_text(gone.units) as u (key, value)
        group by u.key
    ) as past
    join pools p on p.kind = $1 and p.resource_id = r.resource_id and p.pool = past.pool
    cross join lateral (select p.capacity - p.held - p.taken as units) as free
) as due
