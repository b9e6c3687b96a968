-- Read Postgres's clock: by it everything stored was decided.
select clock_timestamp()
