-- Read a page of holds, all of their columns, with the source of the request that asked for each: null, if it was purged; and
-- whether the order is missing that used it up.
-- $1 behind this id, $2 only this resource id, or null, $3 rows at most.
select h.*, r.source, h.status = 'used' and o.order_id is null as lacks_order
from holds h
left join orders o on o.hold_id = h.hold_id
left join requests r on r.request_id = 'req_' || substr(h.hold_id, 6)
where h.hold_id > $1 and ($2::text is null or h.resource_id = $2)
order by h.hold_id
limit $3
