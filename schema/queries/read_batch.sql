-- Read all that a batch is decided on, but orders and payments: one statement, and so of one instant.
-- $1 kinds, $2 resource ids, $3 whether all pools of the resource are needed, $4 whether also those that its holds claim,
-- $5 how many holds that are over of each resource at most, the oldest first; $6 request ids, $7 sources, $8 claim ids;
-- $9 kinds, $10 resource ids, $11 names of pools; $12 ids of holds; $13 ids of requests that may have been refused a hold;
-- $14 kinds, $15 resource ids, $16 buyers whose live holds are to be counted, those that are over included; $17 whether the
-- first deadline of each resource is needed: of a live hold, an order that waits for payment, a payment that waits for its order.
-- One row, each column an array of rows or null. What is over by the clock, or by the latest arrival that a resource has had,
-- counts as over: after a failover the clock may be behind an arrival that is stored already.
-- It is planned once, maybe on empty tables: `limit`, and ranges of whole keys, leave no choice but the right index.
with touched as materialized (
    select r.kind, r.resource_id, r.version, r.settings::text as settings, r.capacity, r.held, r.taken, r.remaining,
           r.oversubscribed_by, r.last_arrived_at, r.written_by, given.needs_all, given.needs_claimed
    from unnest($1::text[], $2::text[], $3::boolean[], $4::boolean[]) as given (kind, resource_id, needs_all, needs_claimed)
    cross join lateral (
        select *, xmin::text::bigint as written_by
        from resources
        where resources.kind = given.kind and resources.resource_id = given.resource_id
        limit 1
    ) as r
),
clock as materialized (
    select now, greatest(now, (select max(last_arrived_at) from touched)) as until
    from (select clock_timestamp() as now) as read
),
due_holds as materialized (
    select h.*, touched.needs_claimed
    from touched
    cross join lateral (
        select *
        from holds
        where (kind, resource_id, expires_at) >= (touched.kind, touched.resource_id, '-infinity')
          and (kind, resource_id, expires_at) <= (touched.kind, touched.resource_id, (select until from clock))
          and status = 'held'
        order by kind, resource_id, expires_at
        limit $5
    ) as h
),
named_holds as materialized (
    select h.*, touched.needs_claimed
    from holds h
    join touched using (kind, resource_id)
    where h.hold_id = any ($12::text[])
)
select
    (select now from clock) as now,
    (
        select array_agg(row (kind, resource_id, version, settings, capacity, held, taken, remaining, oversubscribed_by,
                              last_arrived_at, written_by))
        from touched
    ) as resources,
    (
        select array_agg(row (request_id, source, claim_id, owns_claim, events, step_of))
        from (
            select request_id, source, claim_id, owns_claim, events::text as events, step_of
            from requests
            where request_id = any ($6::text[])
            union all
            select r.request_id, r.source, r.claim_id, r.owns_claim, r.events::text, r.step_of
            from unnest($6::text[], $7::text[], $8::text[]) as asked (request_id, source, claim_id)
            cross join lateral (
                select *
                from requests
                where requests.source = asked.source and requests.claim_id = asked.claim_id and requests.owns_claim
                limit 1
            ) as r
            where r.request_id <> asked.request_id
            union all
            select request_id, source, claim_id, owns_claim, events::text, step_of
            from requests
            where step_of = any ($6::text[])
            order by step_of, claim_id
        ) as decided
    ) as decided,
    (
        select array_agg(row (kind, resource_id, pool, capacity, held, taken, ceiling))
        from (
            select p.*
            from unnest($9::text[], $10::text[], $11::text[]) as named (kind, resource_id, pool)
            cross join lateral (
                select *
                from pools
                where pools.kind = named.kind and pools.resource_id = named.resource_id and pools.pool = named.pool
                limit 1
            ) as p
            union all
            select p.*
            from touched
            cross join lateral (
                select * from pools where pools.kind = touched.kind and pools.resource_id = touched.resource_id offset 0
            ) as p
            where touched.needs_all
            union all
            select p.*
            from (
                select kind, resource_id, jsonb_object_keys(units) as pool from due_holds where needs_claimed
                union all
                select kind, resource_id, jsonb_object_keys(units) from named_holds where needs_claimed
            ) as claimed
            cross join lateral (
                select *
                from pools
                where pools.kind = claimed.kind and pools.resource_id = claimed.resource_id and pools.pool = claimed.pool
                limit 1
            ) as p
        ) as needed
    ) as pools,
    (
        select array_agg(row (kind, resource_id))
        from touched
        where exists (
                  select
                  from orders
                  where (kind, resource_id, payment_due_at) >= (touched.kind, touched.resource_id, '-infinity')
                    and (kind, resource_id, payment_due_at)
                        <= (touched.kind, touched.resource_id, (select until from clock))
                    and status = 'pending_payment'
                  offset 0
              )
           or exists (
                  select
                  from payments
                  where (kind, resource_id, parked_until) >= (touched.kind, touched.resource_id, '-infinity')
                    and (kind, resource_id, parked_until)
                        <= (touched.kind, touched.resource_id, (select until from clock))
                    and parked_until is not null
                  offset 0
              )
    ) as with_due_sales,
    (
        select array_agg(row (kind, resource_id, hold_id, account, token_hash, buyer, client_reference, status, quantity,
                              units::text, granted_at, expires_at, expires_latest_at, ended_at, unit_price, currency, order_id))
        from due_holds
    ) as due_holds,
    (
        select array_agg(row (kind, resource_id, hold_id, account, token_hash, buyer, client_reference, status, quantity,
                              units::text, granted_at, expires_at, expires_latest_at, ended_at, unit_price, currency, order_id))
        from named_holds
    ) as named_holds,
    case when $13::text[] <> '{}' then (
        select array_agg(row (kind, resource_id, request_id, source, reason))
        from requests
        where request_id = any ($13::text[]) and command = 'Hold' and reason is not null
    ) end as refused_holds,
    case when $16::text[] <> '{}' then (
        select array_agg(row (asks.kind, asks.resource_id, asks.buyer, live.holds))
        from unnest($14::text[], $15::text[], $16::text[]) as asks (kind, resource_id, buyer)
        cross join lateral (
            select count(*) as holds
            from holds
            where (kind, resource_id, buyer) >= (asks.kind, asks.resource_id, asks.buyer)
              and (kind, resource_id, buyer) <= (asks.kind, asks.resource_id, asks.buyer)
              and status = 'held' and buyer is not null
        ) as live
    ) end as live_holds,
    case when $17 then (
        select array_agg(row (kind, resource_id, due_at))
        from (
            select touched.kind, touched.resource_id, least(
                (
                    select expires_at
                    from holds
                    where (kind, resource_id, expires_at) >= (touched.kind, touched.resource_id, '-infinity')
                      and (kind, resource_id, expires_at) <= (touched.kind, touched.resource_id, 'infinity')
                      and status = 'held'
                    order by kind, resource_id, expires_at
                    limit 1
                ),
                (
                    select payment_due_at
                    from orders
                    where (kind, resource_id, payment_due_at) >= (touched.kind, touched.resource_id, '-infinity')
                      and (kind, resource_id, payment_due_at) <= (touched.kind, touched.resource_id, 'infinity')
                      and status = 'pending_payment'
                    order by kind, resource_id, payment_due_at
                    limit 1
                ),
                (
                    select parked_until
                    from payments
                    where (kind, resource_id, parked_until) >= (touched.kind, touched.resource_id, '-infinity')
                      and (kind, resource_id, parked_until) <= (touched.kind, touched.resource_id, 'infinity')
                      and parked_until is not null
                    order by kind, resource_id, parked_until
                    limit 1
                )
            ) as due_at
            from touched
            offset 0  -- else Postgres looks twice: for what it shows, and for what it filters
        ) as deadlines
        where due_at is not null
    ) end as due_at
