-- Read the versions of resources of one kind, and which epoch they are of (see read_as_told.sql); a row for each that is asked
-- for, its version null if it is not there. $1 kind, $2 resource ids.
select asked.resource_id, r.version,
       left(encode(sha256(convert_to(concat_ws('/', d.oid, pg_relation_filenode('resources'),
                                               extract(epoch from pg_postmaster_start_time())), 'UTF8')), 'hex'), 12) as epoch
from unnest($2::text[]) as asked (resource_id)
join pg_database d on d.datname = current_database()
left join resources r on r.kind = $1 and r.resource_id = asked.resource_id
