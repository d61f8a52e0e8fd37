-- Switches maintenance for all replicas, with its audit row. $1 bool on, $2 text message, $3 text
-- actor, $4 timestamptz now, $5 uuid audit id. Columns as in maintenance_get.
with m as (
    insert into reli.maintenance as m (merchant_id, is_on, message, changed_by, updated_at)
    values ('00000000-0000-0000-0000-000000000000', $1, $2, $3, $4)
    on conflict (merchant_id) do update set is_on = excluded.is_on, message = excluded.message,
        changed_by = excluded.changed_by, updated_at = excluded.updated_at,
        version = m.version + 1
    returning merchant_id, is_on, message, changed_by, updated_at
),
a as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select m.merchant_id, m.merchant_id, $5, 'live',
        case when m.is_on then 'maintenance.on' else 'maintenance.off' end, $3, $2, $4
    from m
),
l as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select m.merchant_id, $5, array[$5]::uuid[], array[m.merchant_id], '{0}', '{0}',
        array[$5]::uuid[], '{null}', '{null}', '{0}'
    from m
)
select is_on, message, changed_by, updated_at from m
