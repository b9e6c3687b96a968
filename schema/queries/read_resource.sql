-- Read one resource, counting holds past their expiry as free. $1 kind, $2 resource id.
select r.version, r.settings::text, r.capacity, r.taken, p.pool, p.capacity as pool_capacity, p.held, p.taken as pool_taken,
       coalesce(due.units, 0) as due_units
from resources r
join pools p using (kind, resource_id)
left join (
    select e.key as pool, sum(e.value::bigint) as units
    from holds h
    cross join lateral jsonb_each_text(h.units) as e (key, value)
    where h.kind = $1 and h.resource_id = $2 and h.status = 'held' and h.expires_at <= clock_timestamp()
    group by e.key
) as due using (pool)
where r.kind = $1 and r.resource_id = $2
