-- Create or update resources, each only if it still is as it was decided on: at that version ($11; 0 for a new one), and with
-- that last arrival ($12), which even a refusal moves on. A row fewer than asked for means that it is not.
insert into resources (kind, resource_id, version, settings, capacity, held, taken, remaining, oversubscribed_by,
                       last_arrived_at)
select kind, resource_id, version, settings, capacity, held, taken, remaining, oversubscribed_by, last_arrived_at
from unnest($1::text[], $2::text[], $3::bigint[], $4::json[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
            $9::bigint[], $10::timestamptz[])
     as decided (kind, resource_id, version, settings, capacity, held, taken, remaining, oversubscribed_by,
                 last_arrived_at)
order by kind, resource_id
on conflict (kind, resource_id) do update
set version = excluded.version, settings = excluded.settings, capacity = excluded.capacity, held = excluded.held,
    taken = excluded.taken, remaining = excluded.remaining, oversubscribed_by = excluded.oversubscribed_by,
    last_arrived_at = excluded.last_arrived_at
where (resources.kind, resources.resource_id, resources.version, resources.last_arrived_at)
      in (select * from unnest($1::text[], $2::text[], $11::bigint[], $12::timestamptz[]))
returning resource_id
