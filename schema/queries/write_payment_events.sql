-- Store what providers said. A row fewer than asked for means that somebody else recorded one of these events meanwhile.
insert into payment_events (provider, event_id, payment_id, order_id, report, amount, currency, return_units, effect,
                            request_id, arrived_at, decided_at)
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::boolean[], $9::text[],
            $10::text[], $11::timestamptz[], $12::timestamptz[])
     as said (provider, event_id, payment_id, order_id, report, amount, currency, return_units, effect, request_id,
              arrived_at, decided_at)
order by provider, event_id
on conflict do nothing
returning event_id
