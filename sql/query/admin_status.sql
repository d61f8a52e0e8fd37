-- Shuts an account, or opens it again; its sessions end. $1 bytea HMAC of the e-mail address, $2
-- text status, $3 timestamptz now, $4 uuid audit id. Row: the user; none if there is no such
-- account, or nobody has accepted its invitation.
with changed as (
    update reli.account_user u set status = $2, updated_at = $3, version = u.version + 1
    from reli.user_lookup l
    where l.kind = 'email' and l.hash = $1
      and u.merchant_id = '00000000-0000-0000-0000-000000000000' and u.id = l.user_id
      and u.status <> 'invited'
    returning u.id
),
ended as (
    update reli.session s set revoked_at = $3, revoked_for = 'account_' || $2
    from changed c
    where s.merchant_id = '00000000-0000-0000-0000-000000000000' and s.user_id = c.id
      and s.revoked_at is null
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select '00000000-0000-0000-0000-000000000000', id, $4, 'live', 'user.' || $2, 'cli', null, $3
    from changed
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select '00000000-0000-0000-0000-000000000000', $4, array[$4]::uuid[], array[id]::uuid[],
        '{0}', '{0}', array[$4]::uuid[], '{null}', '{null}', '{0}'
    from changed
)
select id from changed
