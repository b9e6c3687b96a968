-- Read each pool beside what the rows that claim of it add up to, and its resource with the sums over its pools.
-- One statement, so one snapshot: whatever commits meanwhile, counters and rows are of one instant.
-- $1 only this resource id, or null.
with claims as (
    select out.kind, out.resource_id, u.key as pool,
           sum(u.value::bigint) filter (where not out.firm) as held,
           sum(u.value::bigint) filter (where out.firm) as taken
    from (
        select kind, resource_id, units, status = 'confirmed' as firm
        from holds
        where status in ('held', 'confirmed') and ($1::text is null or resource_id = $1)
        union all
        select kind, resource_id, units, units_are = 'taken'
        from orders
        where units_are in ('held', 'taken') and ($1::text is null or resource_id = $1)
    ) as out
    cross join lateral jsonb_each_text(out.units) as u (key, value)
    group by out.kind, out.resource_id, u.key
)
select coalesce(p.kind, c.kind, r.kind) as kind, coalesce(p.resource_id, c.resource_id, r.resource_id) as resource_id,
       coalesce(p.pool, c.pool) as pool, p.capacity, p.held, p.taken, p.ceiling,
       coalesce(c.held, 0)::bigint as claimed_held, coalesce(c.taken, 0)::bigint as claimed_taken,
       r.version, r.settings::text, r.capacity as sum_capacity, r.held as sum_held, r.taken as sum_taken, r.remaining as sum_remaining,
       r.oversubscribed_by as sum_oversubscribed_by
from (select * from pools where $1::text is null or resource_id = $1) as p
full join claims c using (kind, resource_id, pool)
full join (select * from resources where $1::text is null or resource_id = $1) as r using (kind, resource_id)
order by 1, 2, 3
