-- Which payments took the units of their order: only what is said with a refund of these decides what becomes of the units.
-- Stop workers first: one that does not know the column refunds without writing it.
-- depends: 0005.seat-holds.before

alter table payments add column took_units boolean not null default false;

comment on column payments.took_units is 'It counted for an order that was paid, when it was refunded or asked back.';

-- Of what was refunded before this column was there the words of the providers tell: it counted, or was parked and then counted.
-- They do not tell all. Where it is not sure, nothing is marked: units that stay taken are put right by hand, units that
-- return too early are sold twice. An order that is still paid may have been charged twice, or brought back behind a part of
-- its money; of what was parked the money that came first counted, what came behind it may have been too much.
update payments p
set took_units = true
from orders o
where o.order_id = p.order_id
  and o.units_are = 'taken'
  and o.status <> 'paid'
  and p.status in ('refund_required', 'refunded')
  and (
      exists (
          select
          from payment_events e
          where (e.provider, e.payment_id) = (p.provider, p.payment_id) and e.effect = 'counted'
      )
      or (p.provider, p.payment_id) = (
          select e.provider, e.payment_id
          from payment_events e
          join payments f using (provider, payment_id)
          where f.order_id = p.order_id and e.report = 'paid' and e.effect = 'parked'
          order by f.arrived_at, f.provider, f.payment_id
          limit 1
      )
  );
