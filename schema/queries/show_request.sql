-- Read all that is stored of one request, whoever made it. $1 request id.
select request_id, kind, resource_id, source, claim_id, command, reason, events::text, arrived_at, decided_at,
       topic_partition, record_offset
from requests
where request_id = $1
