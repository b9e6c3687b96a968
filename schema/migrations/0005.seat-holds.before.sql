-- Who held which seat, from when to when, and how that ended: the audit of seats. Rows are never deleted.
-- depends: 0004.steps.before

create table seat_holds (
    seat_hold_id bigint      not null generated always as identity primary key,
    kind         text        not null,
    screening_id text        not null,
    seat_id      text        not null,
    hold_id      text        not null,
    buyer        text,
    held_at      timestamptz not null,
    ended_at     timestamptz,
    reason       text        check (reason in ('confirmed', 'cancelled', 'changed', 'expired')),
    returned_at  timestamptz,
    check ((ended_at is null) = (reason is null)),
    check (returned_at is null or reason = 'confirmed')
);

comment on table seat_holds is 'One row for each seat of each hold. A trigger keeps rows from being deleted.';
comment on column seat_holds.buyer is 'Who held it: a pseudonym, or as the trusted caller sent it (FIRMHOLD_SEAT_HOLDS_BUYER).';
comment on column seat_holds.reason is 'How the holding ended: made firm, given back with its hold or alone, or its time was over.';
comment on column seat_holds.returned_at is 'When a seat that was made firm was given back.';

create unique index seat_holds_open on seat_holds (kind, screening_id, seat_id) where ended_at is null;
create index seat_holds_of_hold on seat_holds (hold_id, seat_id);
create index seat_holds_of_seat on seat_holds (kind, screening_id, seat_id, held_at);

comment on index seat_holds_open is 'A second guard beside the pools: Postgres refuses a seat that is held twice.';

create view live_seat_holds as
select s.seat_hold_id, s.screening_id, s.seat_id, s.hold_id, s.buyer, s.held_at, h.expires_at
from seat_holds s
join holds h using (hold_id)
where s.ended_at is null and h.status = 'held' and h.expires_at > clock_timestamp();

comment on view live_seat_holds is 'The seats that are held now; one whose time is over is not, though nobody has written that yet.';

create function keep_seat_holds() returns trigger language plpgsql as $$
begin
    raise exception 'rows of seat_holds are kept for ever';
end
$$;

create trigger seat_holds_are_kept before delete or truncate on seat_holds
for each statement execute function keep_seat_holds();
