-- Read the payments of one order, in the order in which they came. $1 order id.
select provider, payment_id, order_id, status, amount, currency, refunded_amount, returns_units, took_units, parked_until,
       arrived_at
from payments
where order_id = $1
order by arrived_at, provider, payment_id
