-- One payout. $1 uuid merchant, $2 uuid payout. Columns: of store/payout_rows.c.
select p.merchant_id, p.id, p.mode, p.status, p.version, p.revision, p.op_id, p.reference,
    p.provider, p.payment_method, p.account_id, p.amount, p.currency, p.pii, p.purpose,
    p.description, p.callback_url, p.metadata, p.requested_by, p.approved_by, p.wallet_id, p.late,
    p.failure_code, p.failure_provider_code, p.failure_message, p.provider_ref, p.receipt, p.n,
    p.request, p.paid_n, p.sent_at, p.answered_at, p.poll_n, p.park_n, p.next_at, p.recon_since,
    p.created_at, p.updated_at, p.completed_at, p.traceparent, p.requester
from reli.payout p
where p.merchant_id = $1 and p.id = $2
