-- Read resources of one kind, a row for each pool, counting holds past their expiry as free, and in how many milliseconds
-- the next hold expires. $1 kind, $2 resource ids, each once.
with clock as materialized (select clock_timestamp() as now)
select r.resource_id, r.version, r.settings::text, r.capacity, r.taken, p.capacity as pool_capacity, p.held,
       p.taken as pool_taken, coalesce(due.units, 0) as due_units,
       floor(extract(epoch from next_end.expires_at - clock.now) * 1000)::bigint as expires_in_ms
from clock
cross join unnest($2::text[]) as asked (resource_id)
join resources r on r.kind = $1 and r.resource_id = asked.resource_id
join pools p on p.kind = r.kind and p.resource_id = r.resource_id
cross join lateral (
    select min(h.expires_at) as expires_at
    from holds h
    where h.kind = $1 and h.resource_id = r.resource_id and h.status = 'held' and h.expires_at > clock.now
) as next_end
cross join lateral (
    select sum((h.units ->> p.pool)::bigint) as units
    from holds h
    where h.kind = $1 and h.resource_id = r.resource_id and h.status = 'held' and h.expires_at <= clock.now
) as due
