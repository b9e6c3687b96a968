-- Read the clock and the requests that are decided already: those with one of these ids, those that own one of these
-- claims, and the steps that were taken for them. A statement of its own after the locks, so that it sees what was
-- committed while it waited for them.
-- $1 request ids, $2 sources, $3 claim ids. At least one row, for the clock; steps in their order.
select clock.now, decided.*
from (select clock_timestamp() as now) as clock
left join (
    select request_id, source, claim_id, owns_claim, events::text, step_of
    from requests
    where request_id = any ($1::text[])
    union
    select r.request_id, r.source, r.claim_id, r.owns_claim, r.events::text, r.step_of
    from requests r
    join unnest($2::text[], $3::text[]) as claim (source, claim_id) using (source, claim_id)
    where r.owns_claim
    union
    select request_id, source, claim_id, owns_claim, events::text, step_of
    from requests
    where step_of = any ($1::text[])
) as decided on true
order by decided.step_of, decided.claim_id
