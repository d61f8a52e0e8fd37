-- The operators' queue, newest first. $1 uuid merchant, $2 text mode, $3 text status or null; $4 to
-- $7 the part. Columns: id, kind, subject, detail, status, resolution, evidence, resolved_by,
-- created_at, updated_at, attempt_n, amount, currency, receipt, proposed_by, mode, version, payer,
-- data, proposer.
select x.id, x.kind, x.subject_id, x.detail, x.status, x.resolution, x.evidence, x.resolved_by,
    x.created_at, x.updated_at, x.attempt_n, x.amount, x.currency, x.receipt, x.proposed_by,
    x.mode, x.version, x.payer, x.data, x.proposer
from reli.exception_item x
where x.merchant_id = $1 and x.mode = $2 and ($3::text is null or x.status = $3)
  and x.id >= $4 and x.id < $5
order by x.id desc
limit $6 offset $7
