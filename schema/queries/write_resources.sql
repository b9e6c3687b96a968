-- Create or update resources, each only if nobody has written it since it was read ($11: the transaction that wrote what was
-- read; null for a new one). Not by its version, which a refusal leaves. A row fewer than asked for means that somebody has.
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
where (resources.kind, resources.resource_id, resources.xmin::text::bigint)
      in (select * from unnest($1::text[], $2::text[], $11::bigint[]))
returning resource_id
