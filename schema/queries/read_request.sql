-- Read the outcome of one request of one source. $1 request id, $2 source.
select request_id, reason, events::text, arrived_at, decided_at
from requests
where request_id = $1 and source = $2
