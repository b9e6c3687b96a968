-- Since when a payment needs what it needs, for the metrics that tell how late somebody is: it may have been heard of long
-- before. And the refusals of payments, which are money that is recorded nowhere: few of all requests.
-- depends: 0008.payment-events-return-units.before

alter table payments add column open_since timestamptz;

comment on column payments.open_since is 'When it became what it is (status, or waiting for its order), by the clock of Postgres.';

-- Of what was open before this column was there, the last that happened to it or to its order.
update payments p
set open_since = greatest(
    p.arrived_at,
    (
        select max(e.decided_at)
        from payment_events e
        where (e.provider, e.payment_id) = (p.provider, p.payment_id)
    ),
    (select o.updated_at from orders o where o.order_id = p.order_id)
)
where p.status in ('mismatched', 'refund_required') or p.parked_until is not null;

create index requests_refused_payments on requests (decided_at) where command = 'RecordPayment' and reason is not null;
