-- One payment with its attempts: a row per attempt, one row with nulls if there is none.
-- $1 uuid merchant, $2 uuid id. Columns: payment_columns, then attempt_columns of
-- store/rows.c, then counted.
select p.merchant_id, p.id, p.mode, p.status, p.version, p.revision, p.op_id, p.reference,
    p.reference_no, p.pay_code, p.provider, p.payment_method, p.account_id, p.amount, p.currency,
    p.received, p.refunded, p.refund_reserved, p.fee, p.fee_due, p.fee_on_top, p.customer_id,
    p.pii, p.description, p.return_url, p.callback_url, p.metadata, p.next_action, p.failure_code,
    p.failure_provider_code, p.failure_message, p.provider_ref, p.receipt, p.status_source, p.late,
    p.recon_since, p.created_at, p.updated_at, p.expires_at, p.completed_at,
    a.n, a.status, a.amount, a.currency, a.provider_ref, a.receipt, a.provider_code, a.code,
    a.sent_at, a.answered_at, a.poll_n, a.next_poll_at, a.provider, a.account_id, a.route,
    a.codes_n, a.cancel_asked, p.counted
from reli.payment p
left join reli.attempt a on a.merchant_id = p.merchant_id and a.payment_id = p.id
where p.merchant_id = $1 and p.id = $2
order by a.n
