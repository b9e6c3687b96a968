-- Read what is known of payments that commands report, wherever they live: the order of each payment, and the payment that
-- the provider's event was recorded of, with what it said. $1 providers, $2 payment ids, $3 event ids.
select asks.provider, asks.payment_id, asks.event_id, m.order_id, e.payment_id as recorded_of, e.report, e.amount, e.currency,
       e.return_units
from unnest($1::text[], $2::text[], $3::text[]) as asks (provider, payment_id, event_id)
left join payments m using (provider, payment_id)
left join payment_events e on e.provider = asks.provider and e.event_id = asks.event_id
