-- Read one order, and the clock that judges whether its time to be paid is over. $1 order id.
select clock_timestamp() as now, order_id, kind, resource_id, hold_id, account, token_hash, client_reference, status,
       ended_by, quantity, units::text, units_are, unit_price, amount, currency, payment_due_at, placed_at, updated_at
from orders
where order_id = $1
