-- Read resources with the seats that are held now, for the mirror, in one statement and so of one instant: a row for each
-- seat, one without a seat where none is held. $1 kind, $2 resource ids.
with clock as materialized (select clock_timestamp() as now)
select r.resource_id, r.version, live.seat_id, live.hold_id, live.expires_at,
       floor(extract(epoch from live.expires_at - clock.now) * 1000)::bigint as lives_ms
from clock
cross join resources r
left join lateral (
    select s.seat_id, s.hold_id, h.expires_at
    from (
        select * from seat_holds where kind = r.kind and screening_id = r.resource_id and ended_at is null offset 0
    ) as s
    cross join lateral (select * from holds where holds.hold_id = s.hold_id limit 1) as h
    where h.status = 'held' and h.expires_at > clock.now
) as live on true
where r.kind = $1 and r.resource_id = any ($2::text[])
