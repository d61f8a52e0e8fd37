-- Logs out: one session of a person, or all. $1 uuid user, $2 uuid session, null: all, $3
-- timestamptz now, $4 text why, $5 uuid audit id, $6 uuid merchant of the audit row, $7 text
-- actor. Row: how many ended.
with ended as (
    update reli.session s set revoked_at = $3, revoked_for = $4
    where s.merchant_id = '00000000-0000-0000-0000-000000000000' and s.user_id = $1
      and ($2::uuid is null or s.id = $2) and s.revoked_at is null
    returning s.id
),
n as (select count(*) as n from ended having count(*) > 0),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $6, $1, $5, 'live', 'session.ended', $7, $4 || ', ' || n.n, $3
    from n
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $6, $5, array[$5]::uuid[], array[$1]::uuid[], '{0}', '{0}',
        array[$5]::uuid[], '{null}', '{null}', '{0}'
    from n
)
select count(*) from ended
