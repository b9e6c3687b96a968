-- Count the payments that need somebody, by what for, with for how many seconds the first of each has needed it: those that
-- wait for their order, those whose order never came, those of another currency, and what is to be given back.
-- Only these are in the index payments_open, whose condition this repeats word for word.
select case
           when m.parked_until is not null then 'parked'
           when m.status = 'mismatched' then 'mismatched'
           when o.order_id is null then 'orphaned'
           else 'refund_required'
       end as need,
       count(*) as payments,
       greatest(0, extract(epoch from clock_timestamp() - min(coalesce(m.open_since, m.arrived_at))))::double precision
           as oldest_seconds
from payments m
left join orders o using (order_id)
where m.status in ('mismatched', 'refund_required') or m.parked_until is not null
group by need
union all
-- What was refused within a day: nothing is stored that would tell when somebody saw to it. The index requests_refused_payments
-- has no others.
select 'refused', count(*), coalesce(greatest(0, extract(epoch from clock_timestamp() - min(decided_at))), 0)::double precision
from requests
where command = 'RecordPayment' and reason is not null and decided_at > now() - interval '24 hours'
