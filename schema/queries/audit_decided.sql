-- Read the outcomes of requests that the topics name, and whose claim caused them: a step's is that of its request.
-- $1 request ids.
select r.request_id, r.resource_id, coalesce(stepping.claim_id, r.claim_id) as claim_id, r.events::text
from requests r
left join requests stepping on stepping.request_id = r.step_of
where r.request_id = any ($1::text[])
