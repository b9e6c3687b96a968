-- Store the outcomes. A row fewer than asked for means that somebody else decided one of them meanwhile; one whose id is there,
-- and not its claim (it owns none, or somebody writes it at this moment), raises a unique violation.
-- In the order of their claims, so that two batches with keys in common wait for each other instead of deadlocking.
insert into requests (request_id, kind, resource_id, source, claim_id, owns_claim, fingerprint, command, reason, events,
                      arrived_at, decided_at, topic_partition, record_offset, step_of)
select *
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::bytea[], $8::text[],
            $9::text[], $10::json[], $11::timestamptz[], $12::timestamptz[], $13::integer[], $14::bigint[],
            $15::text[])
     as decided (request_id, kind, resource_id, source, claim_id, owns_claim, fingerprint, command, reason, events,
                 arrived_at, decided_at, topic_partition, record_offset, step_of)
order by source, claim_id, request_id
on conflict (source, claim_id) where owns_claim do nothing
returning request_id
