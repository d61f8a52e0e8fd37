-- A stored callback that moved nothing is processed once more. $1 uuid merchant, $2 uuid subject,
-- $3 bytea dedupe key, $4 int2 bucket of the job, $5 timestamptz now, $6 uuid audit row, $7 text
-- actor. Row: the id, unless it has been processed or is being, or the person was erased and it
-- with him.
with again as (
    update reli.provider_event set state = 'received', reason = null, updated_at = $5,
        version = version + 1
    where merchant_id = $1 and subject_id = $2 and dedupe_key = $3
      and state in ('ignored', 'retry', 'dead') and raw <> ''
    returning id, merchant_id, subject_id, dedupe_key, mode, payment_id
),
jobs as (
    insert into reli.job (merchant_id, kind, subject, n, bucket, run_at, lease_owner, lease_until)
    select a.merchant_id, 'inbound', a.subject_id,
        ('x' || encode(substring(a.dedupe_key from 1 for 4), 'hex'))::bit(32)::int4 & 2147483647,
        $4, $5, null, $5
    from again a
    on conflict (merchant_id, kind, subject, n) do update set run_at = excluded.run_at, tries = 0
),
noted as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, created_at)
    select a.merchant_id, a.payment_id, $6, a.mode, 'provider_event.replayed', $7, $5
    from again a
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select a.merchant_id, $6, array[$6], array[a.payment_id], '{0}', '{0}', array[$6], '{null}',
        '{null}', '{0}'
    from again a
)
select a.id from again a
