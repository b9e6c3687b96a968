-- Read a page of payments, all of their columns, each with its order, if that has come, and whether a provider's event of it
-- is stored, of this order, and the provider's events that say it was paid with other money, and changed nothing.
-- $1, $2 behind this provider and payment id, $3 only those of this resource id, or of its orders, or null, $4 rows at most.
select m.*, clock_timestamp() as now,
       coalesce((o.kind, o.resource_id) = (m.kind, m.resource_id), true) as is_of_its_resource, o.currency as order_currency,
       exists (
           select
           from payment_events e
           where (e.provider, e.payment_id) = (m.provider, m.payment_id) and e.order_id = m.order_id
       ) as was_said,
       array(
           select e.event_id
           from payment_events e
           where (e.provider, e.payment_id) = (m.provider, m.payment_id) and e.report = 'paid' and e.effect = 'ignored'
             and (e.amount <> m.amount or e.currency <> m.currency)
           order by e.event_id
       ) as contradicted_by
from payments m
left join orders o using (order_id)
where (m.provider, m.payment_id) > ($1::text, $2::text) and ($3::text is null or $3 in (m.resource_id, o.resource_id))
order by m.provider, m.payment_id
limit $4
