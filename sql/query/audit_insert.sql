-- One audit row, on the list of what has no position yet. $1 uuid merchant, $2 uuid subject, $3
-- uuid id, $4 text mode, $5 text action, $6 text actor, $7 text detail, $8 timestamptz now.
with a as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
)
insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
    journals, steps)
values ($1, $3, array[$3], array[$2], '{0}', '{0}', array[$3], '{null}', '{null}', '{0}')
