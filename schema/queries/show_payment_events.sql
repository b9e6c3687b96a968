-- Read what providers said of the payments of one order, as it came. $1 order id.
select provider, event_id, payment_id, report, amount, currency, effect, arrived_at
from payment_events
where order_id = $1
order by arrived_at, provider, event_id
