-- Read the pools of the locked resources that commands need, all of a resource or those that are named, and whether a
-- resource has orders or parked payments whose time is over: only then they need a look, so a batch without any costs no
-- statement more.
-- $1 kinds, $2 resource ids, $3 whether all of its pools are needed, $4 up to which instant; $5 kinds, $6 resource ids,
-- $7 names of pools. At least one row for each resource.
select touched.kind, touched.resource_id, p.pool, p.capacity, p.held, p.taken, p.ceiling, touched.has_due_orders
from (
    select kind, resource_id, needs_all,
           exists (
               select from orders o
               where o.kind = given.kind and o.resource_id = given.resource_id
                 and o.status = 'pending_payment' and o.payment_due_at <= $4
           ) or exists (
               select from payments m
               where m.kind = given.kind and m.resource_id = given.resource_id and m.parked_until <= $4
           ) as has_due_orders
    from unnest($1::text[], $2::text[], $3::boolean[]) as given (kind, resource_id, needs_all)
) as touched
left join pools p on touched.needs_all and p.kind = touched.kind and p.resource_id = touched.resource_id
union all
select p.kind, p.resource_id, p.pool, p.capacity, p.held, p.taken, p.ceiling, false
from unnest($5::text[], $6::text[], $7::text[]) as named (kind, resource_id, pool)
join pools p using (kind, resource_id, pool)
