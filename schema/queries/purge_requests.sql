-- Forget the oldest requests that were decided so long ago; what somebody holds just now waits for the next time.
-- $1 how long ago, $2 rows at most. statement_timestamp() bounds the scan of the index, as clock_timestamp() would not.
delete from requests
where request_id in (
    select request_id
    from requests
    where decided_at < statement_timestamp() - $1::interval
    order by decided_at
    limit $2
    for update skip locked
)
