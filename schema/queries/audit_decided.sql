-- Read the outcomes of requests that the topics name. $1 request ids.
select request_id, resource_id, claim_id, events::text
from requests
where request_id = any ($1::text[])
