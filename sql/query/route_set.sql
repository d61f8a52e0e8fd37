-- The next version of a merchant's routes, with its audit row on the list of what has no position
-- yet. $1 uuid merchant, $2 text mode, $3 text routes, $4 timestamptz now, $5 uuid id of the audit
-- row, $6 text actor. Row: the version; none if there is no such merchant or another one was
-- faster.
with s as (
    insert into reli.route_set (merchant_id, mode, version, routes, created_at)
    select m.merchant_id, $2::text,
        (select coalesce(max(o.version), 0) + 1 from reli.route_set o
         where o.merchant_id = $1 and o.mode = $2),
        $3, $4
    from reli.merchant m where m.merchant_id = $1
    on conflict do nothing
    returning version
),
a as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, $1, $5, $2, 'routes.set', $6, 'version ' || s.version, $4 from s
),
l as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $5, array[$5]::uuid[], array[$1]::uuid[], '{0}', '{0}', array[$5]::uuid[], '{null}',
        '{null}', '{0}'
    from s
)
select version from s
