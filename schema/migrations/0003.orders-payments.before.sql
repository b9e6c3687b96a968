-- Orders made from holds, payments with what their providers said of them, and the price that a hold was granted at.
-- depends: 0002.holds-due.before

alter table holds
    add column unit_price bigint,
    add column currency   text,
    add column order_id   text,
    drop constraint holds_status_check,
    add constraint holds_status_check check (status in ('held', 'confirmed', 'cancelled', 'expired', 'used'));

comment on column holds.unit_price is 'What one unit cost when the hold was granted, in minor units: what it was granted it keeps.';
comment on column holds.order_id is 'The order that used the hold up.';

create table orders (
    order_id         text        not null primary key,
    kind             text        not null,
    resource_id      text        not null,
    hold_id          text        not null unique,
    account          text        not null,
    token_hash       text,
    client_reference text,
    status           text        not null
        check (status in ('pending_payment', 'paid', 'cancelled', 'refund_required', 'refunded')),
    ended_by         text        check (ended_by in ('deadline', 'failure', 'request')),
    quantity         bigint      not null check (quantity > 0),
    units            jsonb       not null,
    units_are        text        not null check (units_are in ('held', 'taken', 'returned')),
    unit_price       bigint      not null check (unit_price >= 0),
    amount           bigint      not null check (amount = quantity * unit_price),
    currency         text        not null,
    payment_due_at   timestamptz not null,
    placed_at        timestamptz not null,
    updated_at       timestamptz not null,
    check ((status = 'pending_payment') = (units_are = 'held')),
    check (status <> 'paid' or units_are = 'taken')
);

comment on column orders.units_are is 'Where the units are: still held, taken by a paid order, or returned to their pools.';
comment on column orders.ended_by is 'What ended the order; one ended on request is never brought back by a late payment.';

create index orders_pending on orders (kind, resource_id, payment_due_at) where status = 'pending_payment';
create index orders_due on orders (payment_due_at) where status = 'pending_payment';

create table payments (
    provider        text        not null,
    payment_id      text        not null,
    kind            text        not null,
    resource_id     text        not null,
    order_id        text        not null,
    status          text        not null
        check (status in ('processing', 'failed', 'mismatched', 'paid', 'refund_required', 'refunded')),
    amount          bigint,
    currency        text,
    refunded_amount bigint      not null check (refunded_amount >= 0),
    returns_units   boolean     not null,
    parked_until    timestamptz check (parked_until is null or status = 'paid'),
    arrived_at      timestamptz not null,
    primary key (provider, payment_id)
);

comment on table payments is 'The order of a payment may not have come yet, so nothing refers to orders.';
comment on column payments.amount is 'In minor units; null until somebody says it, or the order comes whose whole amount it is.';
comment on column payments.parked_until is 'How long the money waits for its order, while it does.';

create index payments_of_order on payments (order_id);
create index payments_parked on payments (kind, resource_id, parked_until) where parked_until is not null;
create index payments_parked_due on payments (parked_until) where parked_until is not null;

create table payment_events (
    provider   text        not null,
    event_id   text        not null,
    payment_id text        not null,
    order_id   text        not null,
    report     text        not null,
    amount     bigint,
    currency   text,
    effect     text        not null,
    request_id text        not null,
    arrived_at timestamptz not null,
    decided_at timestamptz not null,
    primary key (provider, event_id)
);

comment on table payment_events is 'What a provider said, word for word, once each. Never purged: a provider may say it again at any time.';

create index payment_events_of_payment on payment_events (provider, payment_id);
