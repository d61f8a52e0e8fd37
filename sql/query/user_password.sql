-- A new password: all other sessions end. $1 uuid user, $2 int4 version of the person, $3 text
-- hash, $4 timestamptz now, $5 uuid session that goes on, or null, $6 bytea the account's counter
-- of tries, $7 bytea the address's, $8 uuid audit id, $9 uuid merchant of the audit row, $10 text
-- actor. Row: how many sessions ended, if it was changed.
with changed as (
    update reli.account_user u set password_hash = $3, version = u.version + 1, updated_at = $4
    where u.merchant_id = '00000000-0000-0000-0000-000000000000' and u.id = $1
      and u.version = $2 and u.status = 'active'
    returning u.id
),
ended as (
    update reli.session s set revoked_at = $4, revoked_for = 'password_changed'
    where s.merchant_id = '00000000-0000-0000-0000-000000000000' and s.user_id = $1
      and s.id is distinct from $5::uuid and s.revoked_at is null and exists (select from changed)
    returning s.id
),
forgiven as (
    update reli.login_guard g
        set failures = case when g.subject = $6 then 0 else greatest(g.failures - 1, 0) end,
            locked_until = null
    where g.merchant_id = '00000000-0000-0000-0000-000000000000'
      and g.subject in ($6::bytea, $7::bytea) and exists (select from changed)
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $9, $1, $8, 'live', 'user.password_changed', $10, null, $4
    from changed
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $9, $8, array[$8]::uuid[], array[$1]::uuid[], '{0}', '{0}',
        array[$8]::uuid[], '{null}', '{null}', '{0}'
    from changed
)
select (select count(*) from ended) from changed
