-- Read until when seats are held, leaving out those that are not, or no more, though nobody has written that yet.
-- $1 kind, $2 resource ids, $3 seat ids beside them.
select s.screening_id, s.seat_id, h.expires_at
from unnest($2::text[], $3::text[]) as asked (screening_id, seat_id)
cross join lateral (
    select *
    from seat_holds
    where seat_holds.kind = $1 and seat_holds.screening_id = asked.screening_id and seat_holds.seat_id = asked.seat_id
      and seat_holds.ended_at is null
    limit 1
) as s
cross join lateral (select * from holds where holds.hold_id = s.hold_id limit 1) as h
where h.status = 'held' and h.expires_at > clock_timestamp()
