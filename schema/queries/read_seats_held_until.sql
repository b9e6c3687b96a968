-- Read until when seats are held, leaving out those that are not, or no more, though nobody has written that yet.
-- $1 kind, $2 resource ids, $3 seat ids beside them.
select s.screening_id, s.seat_id, h.expires_at
from unnest($2::text[], $3::text[]) as asked (screening_id, seat_id)
join seat_holds s on s.kind = $1 and s.screening_id = asked.screening_id and s.seat_id = asked.seat_id and s.ended_at is null
join holds h using (hold_id)
where h.status = 'held' and h.expires_at > clock_timestamp()
