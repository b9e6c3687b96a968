-- Read resources of one kind with their counters, counting as free what holds past their expiry and orders not paid in time
-- have, and in how many milliseconds the next of these ends. Pools are read only where something is over: the counters of a
-- resource are sums over its pools. $1 kind, $2 resource ids, each once.
-- Each is found by its key, however little Postgres knows of the tables: rows are compared, as only holds_live and
-- orders_pending have their columns in this order.
with clock as materialized (select clock_timestamp() as now)
select r.resource_id, r.version, r.settings::text, r.capacity, r.taken,
       r.held - due.held as held,
       r.remaining + due.remaining as remaining,
       r.oversubscribed_by - due.oversubscribed_by as oversubscribed_by,
       floor(extract(epoch from next_end.ends_at - clock.now) * 1000)::bigint as expires_in_ms
from clock
cross join unnest($2::text[]) as asked (resource_id)
cross join lateral (
    select *
    from resources
    where resources.kind = $1 and resources.resource_id = asked.resource_id
    limit 1
) as r
cross join lateral (
    select least(
        (
            select h.expires_at
            from holds h
            where (h.kind, h.resource_id, h.expires_at) > ($1, r.resource_id, clock.now)
              and (h.kind, h.resource_id, h.expires_at) <= ($1, r.resource_id, 'infinity')
              and h.status = 'held'
            order by h.kind, h.resource_id, h.expires_at
            limit 1
        ),
        (
            select o.payment_due_at
            from orders o
            where (o.kind, o.resource_id, o.payment_due_at) > ($1, r.resource_id, clock.now)
              and (o.kind, o.resource_id, o.payment_due_at) <= ($1, r.resource_id, 'infinity')
              and o.status = 'pending_payment'
            order by o.kind, o.resource_id, o.payment_due_at
            limit 1
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
            where (h.kind, h.resource_id, h.expires_at) >= ($1, r.resource_id, '-infinity')
              and (h.kind, h.resource_id, h.expires_at) <= ($1, r.resource_id, clock.now)
              and h.status = 'held'
            union all
            select o.units
            from orders o
            where (o.kind, o.resource_id, o.payment_due_at) >= ($1, r.resource_id, '-infinity')
              and (o.kind, o.resource_id, o.payment_due_at) <= ($1, r.resource_id, clock.now)
              and o.status = 'pending_payment'
        ) as gone
        cross join lateral jsonb_each_text(gone.units) as u (key, value)
        group by u.key
    ) as past
    cross join lateral (
        select *
        from pools
        where pools.kind = $1 and pools.resource_id = r.resource_id and pools.pool = past.pool
        limit 1
    ) as p
    cross join lateral (select p.capacity - p.held - p.taken as units) as free
) as due
