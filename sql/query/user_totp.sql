-- The second factor: enrolled, confirmed or taken away. $1 uuid user, $2 int4 version of the
-- person, $3 bytea sealed secret or null, $4 timestamptz confirmed or null, $5 int8 step of the
-- code that proved it, 0 none, $6 timestamptz now, $7 text action, $8 uuid audit id, $9 uuid
-- merchant of the audit row, $10 text actor, $11 bytea the account's counter of tries or null, $12
-- bytea the address's or null. Row: the user, if it was changed.
with changed as (
    update reli.account_user u set totp = $3, totp_confirmed_at = $4,
        totp_step = greatest(u.totp_step, $5), version = u.version + 1, updated_at = $6
    where u.merchant_id = '00000000-0000-0000-0000-000000000000' and u.id = $1
      and u.version = $2 and u.status = 'active' and ($5 = 0 or $5 > u.totp_step)
    returning u.id
),
forgiven as (
    update reli.login_guard g
        set failures = case when g.subject = $11 then 0 else greatest(g.failures - 1, 0) end,
            locked_until = null
    where g.merchant_id = '00000000-0000-0000-0000-000000000000'
      and g.subject in ($11::bytea, $12::bytea) and exists (select from changed)
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $9, $1, $8, 'live', $7, $10, null, $6
    from changed
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $9, $8, array[$8]::uuid[], array[$1]::uuid[], '{0}', '{0}',
        array[$8]::uuid[], '{null}', '{null}', '{0}'
    from changed
)
select id from changed
