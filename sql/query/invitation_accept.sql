-- An invitation is accepted, once. $1 uuid merchant, $2 uuid user, $3 bytea HMAC of the token, $4
-- timestamptz now, $5 text password's hash, null: as it is, $6 bytea sealed person, null: as it
-- is, $7 int4 version of the person, $8 uuid audit id, $9 text actor, $10 bytea the account's
-- counter of tries or null, $11 bytea the address's or null, $12 bytea HMAC of a Firebase account
-- that is to be his, null: none, $13 text for whom he stands from now on, null: himself. Row: the
-- role, if it was accepted.
with i as (
    select user_id from reli.invitation
    where merchant_id = $1 and user_id = $2 and token_hash = $3 and expires_at > $4
    for update
),
k as (
    select o.id from reli.account_user o
    join i on i.user_id = o.id
    where o.merchant_id = '00000000-0000-0000-0000-000000000000'
      and o.version = $7 and o.status in ('invited', 'active')
    for update
),
l as (
    insert into reli.user_lookup (kind, hash, user_id)
    select 'firebase', $12::bytea, k.id from k where $12::bytea is not null
    on conflict do nothing
    returning user_id
),
u as (
    update reli.account_user o set status = 'active',
        password_hash = coalesce($5::text, o.password_hash),
        person = coalesce($6::bytea, o.person), stands_for = $13, version = o.version + 1,
        updated_at = $4
    from k
    where o.merchant_id = '00000000-0000-0000-0000-000000000000' and o.id = k.id
      and ($12::bytea is null or exists (select from l))
    returning o.id
),
accepted as (
    update reli.membership ms set status = 'active', updated_at = $4, version = ms.version + 1
    from u
    where ms.merchant_id = $1 and ms.user_id = u.id and ms.status = 'invited'
    returning ms.role
),
gone as (
    delete from reli.invitation
    where merchant_id = $1 and user_id = $2 and exists (select from accepted)
),
forgiven as (
    update reli.login_guard g
        set failures = case when g.subject = $10 then 0 else greatest(g.failures - 1, 0) end,
            locked_until = null
    where g.merchant_id = '00000000-0000-0000-0000-000000000000'
      and g.subject in ($10::bytea, $11::bytea) and exists (select from accepted)
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, $2, $8, 'live', 'member.joined', $9, role, $4
    from accepted
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $8, array[$8]::uuid[], array[$2]::uuid[], '{0}', '{0}',
        array[$8]::uuid[], '{null}', '{null}', '{0}'
    from accepted
)
select role from accepted
