-- The command line says that somebody is a person of his own. $1 bytea HMAC of the e-mail address,
-- $2 timestamptz now, $3 uuid audit id. Row: the user, confirmed now or before; none if there is no
-- such account, or nobody has accepted its invitation.
with who as (
    select u.id
    from reli.user_lookup l
    join reli.account_user u on u.merchant_id = '00000000-0000-0000-0000-000000000000'
        and u.id = l.user_id and u.status <> 'invited'
    where l.kind = 'email' and l.hash = $1
),
changed as (
    update reli.account_user u set stands_for = null, updated_at = $2, version = u.version + 1
    from who
    where u.merchant_id = '00000000-0000-0000-0000-000000000000' and u.id = who.id
      and u.stands_for is not null
    returning u.id
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select '00000000-0000-0000-0000-000000000000', id, $3, 'live', 'user.confirmed', 'cli', null,
        $2
    from changed
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select '00000000-0000-0000-0000-000000000000', $3, array[$3]::uuid[], array[id]::uuid[],
        '{0}', '{0}', array[$3]::uuid[], '{null}', '{null}', '{0}'
    from changed
)
select id from who
