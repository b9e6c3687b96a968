-- Count the live holds of each buyer who asks for one more, those that are due included.
-- $1 kinds, $2 resource ids, $3 buyers.
select asks.kind, asks.resource_id, asks.buyer, count(*) as holds
from unnest($1::text[], $2::text[], $3::text[]) as asks (kind, resource_id, buyer)
join holds h on h.kind = asks.kind and h.resource_id = asks.resource_id and h.buyer = asks.buyer and h.status = 'held'
group by asks.kind, asks.resource_id, asks.buyer
