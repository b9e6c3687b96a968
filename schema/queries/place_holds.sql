-- Create holds that nobody looked for. One that is there already raises a unique violation.
insert into holds (hold_id, kind, resource_id, account, token_hash, buyer, client_reference, status, quantity, units,
                   granted_at, expires_at, expires_latest_at, ended_at, unit_price, currency, order_id)
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::bigint[], $10::jsonb[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[],
            $15::bigint[], $16::text[], $17::text[])
