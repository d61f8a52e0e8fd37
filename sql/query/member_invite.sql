-- Invites somebody, or again with another token; who is known gets no second account. $1 uuid
-- merchant, $2 uuid user, $3 bool he is new, $4 bytea HMAC of the e-mail address, $5 bytea sealed
-- person, $6 text role, $7 bytea HMAC of the token, $8 text actor, $9 timestamptz expires, $10
-- timestamptz now, $11 uuid audit id, $12 text the person behind $8. Row: the user; none if he is a
-- member already, or another request was faster with the address.
with l as (
    insert into reli.user_lookup (kind, hash, user_id)
    select 'email', $4, $2::uuid where $3::bool
    on conflict do nothing
    returning user_id
),
u as (
    insert into reli.account_user (merchant_id, id, status, email_index, person, stands_for,
        created_at, updated_at)
    select '00000000-0000-0000-0000-000000000000', l.user_id, 'invited', $4, $5, '', $10, $10 from l
    returning id
),
ms as (
    insert into reli.membership as o (merchant_id, user_id, role, status, created_at, updated_at)
    select $1, w.id, $6, 'invited', $10, $10
    from (select $2::uuid as id where not $3 union all select u.id from u) w
    on conflict (merchant_id, user_id) do update
        set role = excluded.role, status = 'invited', updated_at = excluded.updated_at,
            version = o.version + 1
        where o.status <> 'active'
    returning user_id
),
um as (
    insert into reli.user_merchant (user_id, merchant_id) select ms.user_id, $1 from ms
    on conflict do nothing
),
i as (
    insert into reli.invitation (merchant_id, user_id, token_hash, invited_by, inviter, expires_at,
        created_at)
    select $1, ms.user_id, $7, $8, $12, $9, $10 from ms
    on conflict (merchant_id, user_id) do update
        set token_hash = excluded.token_hash, invited_by = excluded.invited_by,
            inviter = excluded.inviter, expires_at = excluded.expires_at,
            created_at = excluded.created_at
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, $2, $11, 'live', 'member.invited', $8, $6, $10
    from ms
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $11, array[$11]::uuid[], array[$2]::uuid[], '{0}', '{0}',
        array[$11]::uuid[], '{null}', '{null}', '{0}'
    from ms
)
select user_id from ms
