drop function require_rows;
