-- Which payments took the units of their order: only what is said with a refund of these decides what becomes of the units.
-- depends: 0005.seat-holds.before

alter table payments add column took_units boolean not null default false;

comment on column payments.took_units is 'It counted for an order that was paid, when it was refunded or asked back.';

-- Of what was refunded before this column was there the words of the providers tell: it counted, or was parked and then counted.
update payments p
set took_units = true
from orders o
where o.order_id = p.order_id
  and o.units_are = 'taken'
  and p.status in ('refund_required', 'refunded')
  and exists (
      select
      from payment_events e
      where (e.provider, e.payment_id) = (p.provider, p.payment_id) and e.effect in ('counted', 'parked')
  );
