-- Create or update the pools that changed.
insert into pools (kind, resource_id, pool, capacity, held, taken, ceiling)
select *
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
on conflict (kind, resource_id, pool) do update
set capacity = excluded.capacity, held = excluded.held, taken = excluded.taken, ceiling = excluded.ceiling
