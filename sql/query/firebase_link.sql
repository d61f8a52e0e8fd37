-- From now on a Firebase account is an active person, who has not changed since he was looked at.
-- Whom nobody has confirmed may have got his password from who invited him: the address is the
-- bearer's, so password and sessions go. $1 bytea HMAC of the Firebase account, $2 uuid user, $3
-- int4 version of the person, $4 timestamptz now, $5 uuid audit id, $6 uuid merchant of the audit
-- row, $7 text actor. Row: the user, if it was linked; none if somebody was faster.
with k as (
    select u.id, u.stands_for is not null and u.password_hash is not null as claimed
    from reli.account_user u
    where u.merchant_id = '00000000-0000-0000-0000-000000000000' and u.id = $2
      and u.status = 'active' and u.version = $3
    for update
),
l as (
    insert into reli.user_lookup (kind, hash, user_id)
    select 'firebase', $1::bytea, k.id from k
    on conflict do nothing
    returning user_id
),
taken as (
    update reli.account_user u set password_hash = null, totp = null, updated_at = $4,
        version = u.version + 1
    from k
    join l on l.user_id = k.id
    where u.merchant_id = '00000000-0000-0000-0000-000000000000' and u.id = k.id and k.claimed
    returning u.id
),
ended as (
    update reli.session s set revoked_at = $4, revoked_for = 'address_proved'
    from taken t
    where s.merchant_id = '00000000-0000-0000-0000-000000000000' and s.user_id = t.id
      and s.revoked_at is null
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $6, l.user_id, $5, 'live', 'user.linked', $7,
        case when exists (select from taken) then 'firebase, password gone' else 'firebase' end, $4
    from l
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $6, $5, array[$5]::uuid[], array[user_id]::uuid[], '{0}', '{0}',
        array[$5]::uuid[], '{null}', '{null}', '{0}'
    from l
)
select user_id from l
