-- An account with a password and a role, for the command line. Who has an account already gets the
-- password and the role, and is confirmed; his sessions end, his failed tries are forgiven. $1
-- uuid user, if he is new, $2 bytea HMAC of the e-mail address, $3 bytea sealed person, $4 text
-- password's hash, $5 uuid merchant, $6 text role, $7 timestamptz now, $8 uuid audit id, $9 bool
-- the second factor goes. Row: the user; none if there is no such merchant.
with l as (
    insert into reli.user_lookup (kind, hash, user_id)
    select 'email', $2, $1::uuid
    where $5 = '00000000-0000-0000-0000-000000000000'
       or exists (select from reli.merchant m
                  where m.merchant_id = $5 and m.status <> 'closed')
    on conflict do nothing
    returning user_id
),
who as (
    select l.user_id from l
    union all
    select o.user_id from reli.user_lookup o where o.kind = 'email' and o.hash = $2
      and ($5 = '00000000-0000-0000-0000-000000000000'
           or exists (select from reli.merchant m
                      where m.merchant_id = $5 and m.status <> 'closed'))
),
u as (
    insert into reli.account_user as o (merchant_id, id, status, email_index, person, password_hash,
        created_at, updated_at)
    select '00000000-0000-0000-0000-000000000000', who.user_id, 'active', $2, $3, $4, $7, $7
    from who
    on conflict (merchant_id, id) do update
        set status = 'active', password_hash = excluded.password_hash,
            totp = case when $9::bool then null else o.totp end,
            totp_confirmed_at = case when $9 then null else o.totp_confirmed_at end,
            stands_for = null,
            updated_at = excluded.updated_at, version = o.version + 1
    returning id
),
ms as (
    insert into reli.membership as o (merchant_id, user_id, role, status, created_at, updated_at)
    select $5, u.id, $6, 'active', $7, $7 from u
    on conflict (merchant_id, user_id) do update
        set role = excluded.role, status = 'active', updated_at = excluded.updated_at,
            version = o.version + 1
    returning user_id
),
um as (
    insert into reli.user_merchant (user_id, merchant_id) select ms.user_id, $5 from ms
    on conflict do nothing
),
ended as (
    update reli.session s set revoked_at = $7, revoked_for = 'password_changed'
    from ms
    where s.merchant_id = '00000000-0000-0000-0000-000000000000' and s.user_id = ms.user_id
      and s.revoked_at is null
),
forgiven as (
    delete from reli.login_guard
    where merchant_id = '00000000-0000-0000-0000-000000000000' and subject = $2
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $5, user_id, $8, 'live', 'member.created', 'cli', $6, $7
    from ms
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $5, $8, array[$8]::uuid[], array[user_id]::uuid[], '{0}', '{0}',
        array[$8]::uuid[], '{null}', '{null}', '{0}'
    from ms
)
select user_id from ms
