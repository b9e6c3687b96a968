-- Read the pools of the locked resources, and whether a resource has orders or parked payments whose time is over: only
-- then they need a look, so a batch without any costs no statement more.
-- $1 kinds, $2 resource ids, $3 up to which instant.
select p.kind, p.resource_id, p.pool, p.capacity, p.held, p.taken, p.ceiling, touched.has_due_orders
from (
    select kind, resource_id,
           exists (
               select from orders o
               where o.kind = named.kind and o.resource_id = named.resource_id
                 and o.status = 'pending_payment' and o.payment_due_at <= $3
           ) or exists (
               select from payments m
               where m.kind = named.kind and m.resource_id = named.resource_id and m.parked_until <= $3
           ) as has_due_orders
    from unnest($1::text[], $2::text[]) as named (kind, resource_id)
) as touched
join pools p using (kind, resource_id)
