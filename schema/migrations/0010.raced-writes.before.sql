-- A batch is written by one statement that is a transaction by itself: it must fail as a whole where it wrote less than it was to.
-- depends: 0009.payments-open-since.before

create function require_rows(what text, rows_found bigint, rows_wanted bigint) returns bigint language plpgsql as $$
begin
    if rows_found <> rows_wanted then
        raise exception using
            errcode = 'RC001',
            message = format('%s: %s rows instead of %s, somebody else was faster', what, rows_found, rows_wanted);
    end if;
    return rows_found;
end
$$;

comment on function require_rows is 'Raises RC001 unless as many rows were found or written as the batch was decided on.';
