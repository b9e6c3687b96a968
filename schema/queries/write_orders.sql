-- Create orders, or update what may change of one.
insert into orders (order_id, kind, resource_id, hold_id, account, token_hash, client_reference, status, ended_by, quantity,
                    units, units_are, unit_price, amount, currency, payment_due_at, placed_at, updated_at)
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
            $10::bigint[], $11::jsonb[], $12::text[], $13::bigint[], $14::bigint[], $15::text[], $16::timestamptz[],
            $17::timestamptz[], $18::timestamptz[])
on conflict (order_id) do update
set status = excluded.status, ended_by = excluded.ended_by, units_are = excluded.units_are, updated_at = excluded.updated_at
