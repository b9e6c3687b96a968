-- Steps: what is over on the arrival of a command and is too much for one transaction is expired in several before it.
-- depends: 0003.orders-payments.before

alter table requests add column step_of text;

comment on column requests.step_of is 'The request before which this step expired a part of what was over; its record is that request''s.';

create index requests_steps on requests (step_of) where step_of is not null;
