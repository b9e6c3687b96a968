-- The sweeper looks for what is due over all resources.
-- depends: 0001.resources-holds-requests.before

create index holds_due on holds (expires_at) where status = 'held';
