-- Keep how the holding of seats ended, or when a firm one was given back; what ended stays ended as it did.
-- $1 hold ids, $2 seat ids, $3 when, $4 why, $5 given back when; null where that is not new.
update seat_holds s
set ended_at = coalesce(s.ended_at, news.ended_at), reason = coalesce(s.reason, news.reason),
    returned_at = coalesce(s.returned_at, news.returned_at)
from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::timestamptz[])
     as news (hold_id, seat_id, ended_at, reason, returned_at)
where s.hold_id = news.hold_id and s.seat_id = news.seat_id
  and s.returned_at is null and (s.reason is null or s.reason = 'confirmed')
returning s.seat_id
