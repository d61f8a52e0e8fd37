-- One item of the operators' queue. $1 uuid merchant, $2 uuid id. Columns as in exception_list.
select x.id, x.kind, x.subject_id, x.detail, x.status, x.resolution, x.evidence, x.resolved_by,
    x.created_at, x.updated_at, x.attempt_n, x.amount, x.currency, x.receipt, x.proposed_by,
    x.mode, x.version, x.payer, x.data, x.proposer
from reli.exception_item x
where x.merchant_id = $1 and x.id = $2
