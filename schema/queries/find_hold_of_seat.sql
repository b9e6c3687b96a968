-- Find the hold with this token that has a seat, or had it: whoever repeats himself is known again. Of several the last.
-- $1 kind, $2 resource id, $3 pool, $4 hash of the token.
select h.hold_id
from seat_holds s
join holds h using (hold_id)
where s.kind = $1 and s.screening_id = $2 and s.seat_id = $3 and h.token_hash = $4
order by s.held_at desc, s.seat_hold_id desc
limit 1
