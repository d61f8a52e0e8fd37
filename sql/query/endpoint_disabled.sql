-- The notice of an endpoint that has been disabled by itself: an audit row and an item of the
-- operators' queue. $1 uuid merchant, $2 uuid endpoint, $3 uuid audit row, $4 uuid exception, $5
-- text mode, $6 text detail, $7 timestamptz now.
with a as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    values ($1, $2, $3, $5, 'webhook_endpoint.disabled', 'system', $6, $7)
),
n as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    values ($1, $3, array[$3], array[$2], '{0}', '{0}', array[$3], '{null}', '{null}', '{0}')
)
insert into reli.exception_item (merchant_id, id, mode, kind, subject_id, detail, status,
    created_at, updated_at)
values ($1, $4, $5, 'endpoint_disabled', $4, $6, 'open', $7, $7)
