-- Read one resource as events have told of it up to its version: which of its pools have units held or taken, what is over and
-- not ended yet still counted, as events count it too. In one row, and beside it which epoch these versions are of.
-- An epoch is told from another one by the database, by the file of the table, which a restored dump has anew, and by when the
-- server began: restoring a backup or a disk, and handing over to another server, all begin one. $1 kind, $2 resource id.
select r.version, r.settings::text, coalesce(out.held, '{}') as held, coalesce(out.taken, '{}') as taken,
       left(encode(sha256(convert_to(concat_ws('/', d.oid, pg_relation_filenode('resources'),
                                               extract(epoch from pg_postmaster_start_time())), 'UTF8')), 'hex'), 12) as epoch
from resources r
join pg_database d on d.datname = current_database()
cross join (
    select array_agg(p.pool) filter (where p.held > 0) as held, array_agg(p.pool) filter (where p.taken > 0) as taken
    from pools p
    where p.kind = $1 and p.resource_id = $2 and p.held + p.taken > 0
) as out
where r.kind = $1 and r.resource_id = $2
