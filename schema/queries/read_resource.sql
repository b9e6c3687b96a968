-- Read one resource, counting as free what holds past their expiry and orders not paid in time have. $1 kind, $2 resource id.
select r.version, r.settings::text, r.capacity, r.taken, p.pool, p.capacity as pool_capacity, p.held, p.taken as pool_taken,
       coalesce(due.units, 0) as due_units
from resources r
join pools p using (kind, resource_id)
left join (
    select e.key as pool, sum(e.value::bigint) as units
    from (
        select units
        from holds
        where kind = $1 and resource_id = $2 and status = 'held' and expires_at <= clock_timestamp()
        union all
        select units
        from orders
        where kind = $1 and resource_id = $2 and status = 'pending_payment' and payment_due_at <= clock_timestamp()
    ) as gone
    cross join lateral jsonb_each_text(gone.units) as e (key, value)
    group by e.key
) as due using (pool)
where r.kind = $1 and r.resource_id = $2
