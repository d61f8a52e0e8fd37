-- Opens a session of an active person who has not changed since he was looked at, and uses up the
-- code of the second factor if there is one: a code counts once. Forgives the failed tries before.
-- $1 uuid session, $2 uuid user, $3 uuid merchant, $4 timestamptz now, $5 timestamptz refresh
-- until, $6 timestamptz ends, $7 int8 step of the code, 0 none, $8 bytea the account's counter of
-- tries or null, $9 int4 version of the person, $10 text client's address, $11 uuid audit id, $12
-- text actor, $13 text how, $14 bytea the address's counter or null. Row: the role, if it was
-- opened.
with u as (
    update reli.account_user u set totp_step = greatest(u.totp_step, $7), last_login_at = $4
    where u.merchant_id = '00000000-0000-0000-0000-000000000000' and u.id = $2
      and u.status = 'active' and u.version = $9
      and (u.totp_confirmed_at is null or $7 > u.totp_step)
    returning u.id
),
opened as (
    insert into reli.session (merchant_id, id, user_id, for_merchant, generation, address,
        last_seen_at, refresh_until, ends_at, created_at)
    select '00000000-0000-0000-0000-000000000000', $1, u.id, ms.merchant_id, 1, $10, $4, $5, $6, $4
    from u
    join reli.membership ms on ms.merchant_id = $3 and ms.user_id = u.id and ms.status = 'active'
    returning user_id
),
forgiven as (
    update reli.login_guard g
        set failures = case when g.subject = $8 then 0 else greatest(g.failures - 1, 0) end,
            locked_until = null
    where g.merchant_id = '00000000-0000-0000-0000-000000000000'
      and g.subject in ($8::bytea, $14::bytea) and exists (select from opened)
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $3, $2, $11, 'live', 'session.opened', $12, $13, $4
    from opened
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $3, $11, array[$11]::uuid[], array[$2]::uuid[], '{0}', '{0}',
        array[$11]::uuid[], '{null}', '{null}', '{0}'
    from opened
)
select ms.role from opened o
join reli.membership ms on ms.merchant_id = $3 and ms.user_id = o.user_id
