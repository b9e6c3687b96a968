-- Read one hold, and the clock that judges whether its time is over. $1 hold id.
select clock_timestamp() as now, hold_id, account, token_hash, buyer, client_reference, status, quantity, units::text,
       granted_at, expires_at, expires_latest_at, ended_at,
       unit_price, currency, order_id, kind, resource_id
from holds
where hold_id = $1
