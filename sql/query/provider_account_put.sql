-- Makes an account or changes it, with its audit row. At most 32 a merchant, active or not.
-- $1 uuid merchant, $2 uuid id, $3 text mode, $4 text provider, $5 text name, $6 bool is_active,
-- $7 int4 priority, $8 bytea settings, $9 json config, $10 json last4, $11 int4 version that was
-- read (0: it is new), $12 timestamptz now, $13 uuid audit id, $14 text action, $15 text actor,
-- $16 text detail. Row: the new version; none if another change was faster, or there are too many.
with made as (
    insert into reli.provider_account as p (merchant_id, id, mode, provider, name, is_active,
        priority, settings, config, last4, version, created_at, updated_at)
    select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $12, $12
    where $11 > 0
       or (select count(*) from reli.provider_account o where o.merchant_id = $1) < 32
    on conflict (merchant_id, mode, provider, name) do update
        set is_active = excluded.is_active, priority = excluded.priority,
            settings = excluded.settings, config = excluded.config, last4 = excluded.last4,
            version = p.version + 1, updated_at = excluded.updated_at
        where p.version = $11 and p.id = excluded.id
    returning p.version
),
audit as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, $2, $13, $3, $14, $15, $16, $12 from made
),
log as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $13, array[$13], array[$2], '{0}', '{0}', array[$13], '{null}', '{null}', '{0}'
    from made
)
select version from made
