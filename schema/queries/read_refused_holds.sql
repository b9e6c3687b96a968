-- Read why holds that commands name were refused when they were asked for. $1 ids of the requests that asked for them.
select kind, resource_id, request_id, source, reason
from requests
where request_id = any ($1::text[]) and command = 'Hold' and reason is not null
