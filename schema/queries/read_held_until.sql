-- Read until when somebody holds a seat, null if nobody does; no row: there is no such seat. One whose time is over is held by
-- nobody, though nobody has written that yet. $1 kind, $2 resource id, $3 pool.
select (
    select h.expires_at
    from seat_holds s
    join holds h using (hold_id)
    where s.kind = p.kind and s.screening_id = p.resource_id and s.seat_id = p.pool and s.ended_at is null
      and h.status = 'held' and h.expires_at > clock_timestamp()
) as held_until
from pools p
where p.kind = $1 and p.resource_id = $2 and p.pool = $3
