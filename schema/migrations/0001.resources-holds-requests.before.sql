-- Resources with their pools, the holds on them, and one row for each decided request.
-- Applied before the code that uses it (the name says so).

create table resources (
    kind              text        not null,
    resource_id       text        not null,
    version           bigint      not null check (version > 0),
    settings          json        not null,
    capacity          bigint      not null,
    held              bigint      not null,
    taken             bigint      not null,
    remaining         bigint      not null,
    oversubscribed_by bigint      not null,
    last_arrived_at   timestamptz not null,
    primary key (kind, resource_id)
) with (fillfactor = 50);

comment on column resources.last_arrived_at is 'The arrival of the latest decided command: a resource''s time never runs backwards.';
comment on column resources.held is 'This and the other counters are sums over the pools of the resource.';

create table pools (
    kind        text   not null,
    resource_id text   not null,
    pool        text   not null,
    capacity    bigint not null check (capacity >= 0),
    held        bigint not null check (held >= 0),
    taken       bigint not null check (taken >= 0),
    ceiling     bigint not null,
    primary key (kind, resource_id, pool),
    constraint pools_never_oversold check (held + taken <= ceiling)
) with (fillfactor = 50);

comment on column pools.ceiling is 'Capacity, or what was already out when capacity was lowered below that.';

create table holds (
    hold_id           text        not null primary key,
    kind              text        not null,
    resource_id       text        not null,
    account           text        not null,
    token_hash        text,
    buyer             text,
    client_reference  text,
    status            text        not null check (status in ('held', 'confirmed', 'cancelled', 'expired')),
    quantity          bigint      not null check (quantity > 0),
    units             jsonb       not null,
    granted_at        timestamptz not null,
    expires_at        timestamptz not null,
    expires_latest_at timestamptz not null,
    ended_at          timestamptz,
    check (expires_at <= expires_latest_at)
);

comment on column holds.units is 'What the hold claims of each pool, by its name: what it was granted it keeps.';

create index holds_live on holds (kind, resource_id, expires_at) where status = 'held';
create index holds_live_of_buyer on holds (kind, resource_id, buyer) where status = 'held' and buyer is not null;

create table requests (
    request_id       text        not null primary key,
    kind             text        not null,
    resource_id      text        not null,
    source           text        not null,
    claim_id         text        not null,
    owns_claim       boolean     not null,
    fingerprint      bytea       not null,
    command          text        not null,
    reason           text,
    events           json        not null,
    arrived_at       timestamptz not null,
    decided_at       timestamptz not null,
    topic_partition  integer     not null,
    record_offset    bigint      not null
);

comment on column requests.owns_claim is 'False for a request that used another''s key: it is refused idempotency_key_reused.';
comment on column requests.reason is 'Why the request was refused; null if it succeeded.';
comment on column requests.events is 'The events of the request, sent again word for word when its record is delivered again.';

create unique index requests_claim on requests (source, claim_id) where owns_claim;
create index requests_decided_at on requests (decided_at);
