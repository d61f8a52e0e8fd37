-- Proposes how an item of the operators' queue ends, or ends one that moves no money, with the
-- audit row that says so. Compare-and-set on the version. $1 uuid merchant, $2 uuid id, $3 int4
-- version, $4 text status, $5 text resolution, $6 text evidence, $7 text receipt or null, $8 text
-- proposed_by, $9 text resolved_by or null, $10 uuid audit id, $11 text action, $12 timestamptz
-- now, $13 text proposer. Rows: the id, if it was moved.
with moved as (
    update reli.exception_item set status = $4, resolution = $5, evidence = $6, receipt = $7,
        proposed_by = $8, proposer = $13, resolved_by = $9, updated_at = $12, version = version + 1
    where merchant_id = $1 and id = $2 and version = $3 and status <> 'resolved'
    returning id, mode
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, after, detail,
        created_at)
    select $1, m.id, $10, m.mode, $11, $8, $4, $5, $12 from moved m
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $10, array[$10], array[m.id], '{0}', '{0}', array[$10], '{null}', '{null}', '{0}'
    from moved m
)
select m.id from moved m
