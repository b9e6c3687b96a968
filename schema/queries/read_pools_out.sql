-- Read one resource with those of its pools that have units out, in one row: what of it is free follows from its settings.
-- What holds past their expiry and orders not paid in time have counts as free; over_count is how many of these there are,
-- expires_in_ms in how many milliseconds the next one ends; epoch is that of read_as_told.sql. Sums instead of a join: where
-- hashing is off that would look each pool up among all others. $1 kind, $2 resource id.
with clock as materialized (select clock_timestamp() as now),
live as materialized (
    select h.units, h.expires_at as ends_at
    from holds h
    where (h.kind, h.resource_id, h.expires_at) >= ($1, $2, '-infinity')
      and (h.kind, h.resource_id, h.expires_at) <= ($1, $2, 'infinity')
      and h.status = 'held'
    union all
    select o.units, o.payment_due_at
    from orders o
    where (o.kind, o.resource_id, o.payment_due_at) >= ($1, $2, '-infinity')
      and (o.kind, o.resource_id, o.payment_due_at) <= ($1, $2, 'infinity')
      and o.status = 'pending_payment'
)
select r.version, r.settings::text, ends.over_count,
       left(encode(sha256(convert_to(concat_ws('/', d.oid, pg_relation_filenode('resources'),
                                               extract(epoch from pg_postmaster_start_time())), 'UTF8')), 'hex'), 12) as epoch,
       floor(extract(epoch from ends.next_at - clock.now) * 1000)::bigint as expires_in_ms,
       coalesce(out.pools, '{}') as pools, coalesce(out.held, '{}') as held, coalesce(out.taken, '{}') as taken
from clock
join resources r on r.kind = $1 and r.resource_id = $2
join pg_database d on d.datname = current_database()
cross join lateral (
    select count(*) filter (where live.ends_at <= clock.now) as over_count,
           min(live.ends_at) filter (where live.ends_at > clock.now) as next_at
    from live
) as ends
cross join (
    select array_agg(summed.pool) as pools, array_agg(summed.held) as held, array_agg(summed.taken) as taken
    from (
        select pool, sum(moved.held)::bigint as held, sum(moved.taken)::bigint as taken
        from (
            select p.pool, p.held, p.taken
            from pools p
            where p.kind = $1 and p.resource_id = $2 and p.held + p.taken > 0
            union all
            select u.key, -u.value::bigint, 0
            from clock
            join live on live.ends_at <= clock.now
            cross join lateral jsonb_each_text(live.units) as u (key, value)
        ) as moved
        group by pool
        having sum(moved.held) + sum(moved.taken) > 0
    ) as summed
) as out
