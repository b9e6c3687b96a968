-- Payments that need somebody, for the metrics that count them: few of all that there ever were.
-- depends: 0006.payments-took-units.before

create index payments_open on payments (arrived_at)
    where status in ('mismatched', 'refund_required') or parked_until is not null;
