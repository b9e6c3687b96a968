-- Keep that seats are held, and of those that were given back in the same batch how that ended.
insert into seat_holds (kind, screening_id, seat_id, hold_id, buyer, held_at, ended_at, reason, returned_at)
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::text[],
            $9::timestamptz[])
returning seat_id
