-- Another person says that a member is a person of his own. $1 uuid merchant, $2 uuid user, $3 text
-- for whom he stood when he was looked at, $4 timestamptz now, $5 uuid audit id, $6 text actor.
-- Row: the user, if it was so.
with changed as (
    update reli.account_user u set stands_for = null, updated_at = $4, version = u.version + 1
    from reli.membership ms
    where ms.merchant_id = $1 and ms.user_id = $2 and ms.status = 'active'
      and u.merchant_id = '00000000-0000-0000-0000-000000000000' and u.id = ms.user_id
      and u.stands_for = $3
    returning u.id
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, id, $5, 'live', 'member.confirmed', $6, $3, $4
    from changed
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $5, array[$5]::uuid[], array[id]::uuid[], '{0}', '{0}',
        array[$5]::uuid[], '{null}', '{null}', '{0}'
    from changed
)
select id from changed
