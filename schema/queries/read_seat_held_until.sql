-- Read until when a seat is held; no row if it is not, or no more, though nobody has written that yet.
-- $1 kind, $2 resource id, $3 seat id.
select h.expires_at
from seat_holds s
join holds h using (hold_id)
where s.kind = $1 and s.screening_id = $2 and s.seat_id = $3 and s.ended_at is null
  and h.status = 'held' and h.expires_at > clock_timestamp()
