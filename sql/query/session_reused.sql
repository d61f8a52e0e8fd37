-- A refresh token that was not taken: if it was used before, somebody else has it, and the session
-- ends with all its tokens. $1 uuid session, $2 int4 generation of the token, $3 timestamptz now,
-- $4 uuid audit id. Row: user and for_merchant, if it ended here.
with ended as (
    update reli.session s set revoked_at = $3, revoked_for = 'refresh_reused'
    where s.merchant_id = '00000000-0000-0000-0000-000000000000' and s.id = $1
      and s.generation > $2 and s.revoked_at is null
    returning s.user_id, s.for_merchant
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select for_merchant, user_id, $4, 'live', 'session.revoked', 'system', 'refresh_reused', $3
    from ended
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select for_merchant, $4, array[$4]::uuid[], array[user_id]::uuid[], '{0}', '{0}',
        array[$4]::uuid[], '{null}', '{null}', '{0}'
    from ended
)
select user_id, for_merchant from ended
