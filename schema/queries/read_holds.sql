-- Read the holds of the locked resources that may matter: those whose time is over, oldest first and so many of each
-- resource at most, and those that commands name.
-- $1 kinds, $2 resource ids, $3 up to which instant, $4 hold ids, $5 how many that are over of each resource.
select h.kind, h.resource_id, h.hold_id, h.account, h.token_hash, h.buyer, h.client_reference, h.status, h.quantity,
       h.units::text, h.granted_at, h.expires_at, h.expires_latest_at, h.ended_at,
       h.unit_price, h.currency, h.order_id
from unnest($1::text[], $2::text[]) as touched (kind, resource_id)
cross join lateral (
    select *
    from holds
    where holds.kind = touched.kind
      and holds.resource_id = touched.resource_id
      and holds.status = 'held'
      and holds.expires_at <= $3
    order by holds.expires_at
    limit $5
) as h
union
select h.kind, h.resource_id, h.hold_id, h.account, h.token_hash, h.buyer, h.client_reference, h.status, h.quantity,
       h.units::text, h.granted_at, h.expires_at, h.expires_latest_at, h.ended_at,
       h.unit_price, h.currency, h.order_id
from holds h
join unnest($1::text[], $2::text[]) as touched (kind, resource_id) using (kind, resource_id)
where h.hold_id = any ($4::text[])
