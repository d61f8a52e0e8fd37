-- From now on a Firebase account is an active person, who has not changed since he was looked at.
-- $1 bytea HMAC of the Firebase account, $2 uuid user, $3 int4 version of the person, $4
-- timestamptz now, $5 uuid audit id, $6 uuid merchant of the audit row, $7 text actor. Row: the
-- user, if it was linked; none if somebody was faster.
with l as (
    insert into reli.user_lookup (kind, hash, user_id)
    select 'firebase', $1::bytea, u.id
    from reli.account_user u
    where u.merchant_id = '00000000-0000-0000-0000-000000000000' and u.id = $2
      and u.status = 'active' and u.version = $3
    on conflict do nothing
    returning user_id
),
audited as materialized (
    select reli.audit_put($6, user_id, $5, 'live', 'user.linked', $7, null, null, 'firebase', $4)
    from l
)
select user_id from l left join audited on true
