-- Be the only one to purge until the end of this transaction; false if somebody else is. Any number would do.
select pg_try_advisory_xact_lock(4919735502461952)
