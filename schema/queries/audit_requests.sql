-- Read a page of requests, oldest first, and whether the hold and the order exist that each would have placed.
-- One statement, so all are of one instant; they are written in one transaction.
-- $1, $2 behind this decision and id, $3 decided until then: else it would follow the tail of a running system for ever,
-- $4 only this resource id, or null, $5 rows at most.
select r.request_id, r.kind, r.resource_id, r.source, r.claim_id, r.command, r.reason, r.events::text, r.decided_at,
       r.topic_partition, r.record_offset, r.step_of is not null as is_step, h.hold_id is not null as has_hold,
       o.order_id is not null as has_order
from requests r
left join holds h on h.hold_id = 'hold_' || substr(r.request_id, 5)
left join orders o on o.order_id = 'order_' || substr(r.request_id, 5)
where (r.decided_at, r.request_id) > ($1::timestamptz, $2::text) and r.decided_at <= $3
  and ($4::text is null or r.resource_id = $4)
order by r.decided_at, r.request_id
limit $5
