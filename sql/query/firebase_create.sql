-- An account without a password for somebody who came by Firebase; nobody has confirmed him, and he
-- is a member of nothing until he is invited. $1 uuid user, $2 bytea HMAC of the e-mail address, $3
-- bytea HMAC of the Firebase account, $4 bytea sealed person, $5 timestamptz now, $6 uuid audit id,
-- $7 text actor. Row: the user; none if the address or the account is known meanwhile.
with e as (
    insert into reli.user_lookup (kind, hash, user_id)
    select 'email', $2::bytea, $1::uuid
    where not exists (select from reli.user_lookup o where o.kind = 'firebase' and o.hash = $3)
    on conflict do nothing
    returning user_id
),
f as (
    insert into reli.user_lookup (kind, hash, user_id)
    select 'firebase', $3::bytea, e.user_id from e
    returning user_id
),
u as (
    insert into reli.account_user (merchant_id, id, status, email_index, person, stands_for,
        created_at, updated_at)
    select '00000000-0000-0000-0000-000000000000', f.user_id, 'active', $2, $4, '', $5, $5 from f
    returning id
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select '00000000-0000-0000-0000-000000000000', u.id, $6, 'live', 'user.created', $7,
        'firebase', $5
    from u
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select '00000000-0000-0000-0000-000000000000', $6, array[$6]::uuid[], array[u.id]::uuid[],
        '{0}', '{0}', array[$6]::uuid[], '{null}', '{null}', '{0}'
    from u
)
select id from u
