-- Read the orders of the locked resources that may matter: those that were not paid in time, oldest first and so many of
-- each resource at most, and those that commands name.
-- $1 kinds, $2 resource ids, $3 up to which instant, $4 order ids, $5 how many that are over of each resource.
select o.order_id, o.kind, o.resource_id, o.hold_id, o.account, o.token_hash, o.client_reference, o.status, o.ended_by,
       o.quantity, o.units::text, o.units_are, o.unit_price, o.amount, o.currency, o.payment_due_at, o.placed_at, o.updated_at
from unnest($1::text[], $2::text[]) as touched (kind, resource_id)
cross join lateral (
    select order_id
    from orders
    where (kind, resource_id, payment_due_at) >= (touched.kind, touched.resource_id, '-infinity')
      and (kind, resource_id, payment_due_at) <= (touched.kind, touched.resource_id, $3)
      and status = 'pending_payment'
    order by kind, resource_id, payment_due_at
    limit $5
) as due
join orders o using (order_id)
union
select o.order_id, o.kind, o.resource_id, o.hold_id, o.account, o.token_hash, o.client_reference, o.status, o.ended_by,
       o.quantity, o.units::text, o.units_are, o.unit_price, o.amount, o.currency, o.payment_due_at, o.placed_at, o.updated_at
from orders o
join unnest($1::text[], $2::text[]) as touched (kind, resource_id) using (kind, resource_id)
where o.order_id = any ($4::text[])
