-- Read a page of orders, all of their columns, each with the hold that it used, whether the request that asked for it is
-- stored, and what its payments come to. What once counted for a paid order is paid or refunded now: `received` is that.
-- $1 behind this id, $2 only this resource id, or null, $3 rows at most.
select o.*, h.status as hold_status, h.order_id as order_of_hold, r.request_id is not null as has_request,
       coalesce(money.counted, 0)::bigint as counted, coalesce(money.received, 0)::bigint as received,
       money.counting, money.owed, money.parked
from orders o
left join holds h on h.hold_id = o.hold_id
left join requests r on r.request_id = 'req_' || substr(o.order_id, 7)
cross join lateral (
    select count(*) filter (where m.status = 'paid' and m.parked_until is null) as counting,
           count(*) filter (where m.status = 'refund_required') as owed,
           count(*) filter (where m.parked_until is not null) as parked,
           sum(m.amount - m.refunded_amount) filter (where m.status = 'paid' and m.parked_until is null) as counted,
           sum(m.amount) filter (where m.status in ('paid', 'refunded') and m.parked_until is null) as received
    from payments m
    where m.order_id = o.order_id
) as money
where o.order_id > $1 and ($2::text is null or o.resource_id = $2)
order by o.order_id
limit $3
