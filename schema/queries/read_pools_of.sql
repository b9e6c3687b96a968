-- Read pools of the locked resources by their names. $1 kinds, $2 resource ids, $3 names of pools.
select p.kind, p.resource_id, p.pool, p.capacity, p.held, p.taken, p.ceiling
from unnest($1::text[], $2::text[], $3::text[]) as named (kind, resource_id, pool)
cross join lateral (
    select *
    from pools
    where pools.kind = named.kind and pools.resource_id = named.resource_id and pools.pool = named.pool
    limit 1
) as p
