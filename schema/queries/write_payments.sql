-- Create or update payments. A row fewer than asked for means that somebody else recorded one of them for another order.
-- open_since is when a payment became what it is: of one that stays so it stays.
-- In the order of their names, so that two batches with payments in common wait for each other instead of deadlocking.
insert into payments (provider, payment_id, kind, resource_id, order_id, status, amount, currency, refunded_amount,
                      returns_units, took_units, parked_until, arrived_at, open_since)
select *, clock_timestamp()
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::bigint[],
            $10::boolean[], $11::boolean[], $12::timestamptz[], $13::timestamptz[])
     as decided (provider, payment_id, kind, resource_id, order_id, status, amount, currency, refunded_amount,
                 returns_units, took_units, parked_until, arrived_at)
order by provider, payment_id
on conflict (provider, payment_id) do update
set status = excluded.status, amount = excluded.amount, currency = excluded.currency,
    refunded_amount = excluded.refunded_amount, returns_units = excluded.returns_units,
    took_units = excluded.took_units, parked_until = excluded.parked_until,
    open_since = case
        when (payments.status, payments.parked_until) is not distinct from (excluded.status, excluded.parked_until)
            then payments.open_since
        else excluded.open_since
    end
where payments.order_id = excluded.order_id
returning payment_id
