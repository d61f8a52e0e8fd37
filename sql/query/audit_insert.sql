-- One audit row. $1 uuid merchant, $2 uuid subject, $3 uuid id, $4 text mode, $5 text action, $6 text actor,
-- $7 text detail, $8 timestamptz now.
insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
