-- Read the payments of the locked resources that may matter: those whose order did not come in time, oldest first and so
-- many of each resource at most, and all of the orders that are decided on, whether these have come or not.
-- $1 kinds, $2 resource ids, $3 up to which instant, $4 order ids, $5 how many that are over of each resource.
select m.kind, m.resource_id, m.provider, m.payment_id, m.order_id, m.status, m.amount, m.currency, m.refunded_amount,
       m.returns_units, m.took_units, m.parked_until, m.arrived_at
from unnest($1::text[], $2::text[]) as touched (kind, resource_id)
cross join lateral (
    select *
    from payments
    where (kind, resource_id, parked_until) >= (touched.kind, touched.resource_id, '-infinity')
      and (kind, resource_id, parked_until) <= (touched.kind, touched.resource_id, $3)
      and parked_until is not null
    order by kind, resource_id, parked_until
    limit $5
) as m
union
select m.kind, m.resource_id, m.provider, m.payment_id, m.order_id, m.status, m.amount, m.currency, m.refunded_amount,
       m.returns_units, m.took_units, m.parked_until, m.arrived_at
from payments m
join unnest($1::text[], $2::text[]) as touched (kind, resource_id) using (kind, resource_id)
where m.order_id = any ($4::text[])
