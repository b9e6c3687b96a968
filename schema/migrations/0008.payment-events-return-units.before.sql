-- The last word of a provider that was not kept: an event that comes again is a copy only if it says the same.
-- depends: 0007.payments-open.before

alter table payment_events add column return_units boolean;

comment on column payment_events.return_units is
    'That the units come back with the refund; null where it was recorded before this was kept, and may have been either.';
