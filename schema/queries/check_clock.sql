-- One row if the time is Postgres's own, as it was at most some seconds ago. $1 a time that was carried on from an earlier reading.
select true as is_so
where $1::timestamptz between clock_timestamp() - interval '5 seconds' and clock_timestamp()
