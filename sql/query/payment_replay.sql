-- Payments with their events, merchant by merchant, for a rebuild from the events alone: a row
-- per event, one with nulls if a payment has none. $1 uuid merchant and $2 uuid payment behind
-- which the page begins, $3 int8 number of payments.
-- Columns: payment_columns of store/rows.c, then seq, type, data.
select p.merchant_id, p.id, p.mode, p.status, p.version, p.revision, p.op_id, p.reference,
    p.reference_no, p.pay_code, p.provider, p.payment_method, p.account_id, p.amount, p.currency,
    p.received, p.refunded, p.refund_reserved, p.fee, p.fee_due, p.fee_on_top, p.customer_id,
    p.pii, p.description, p.return_url, p.callback_url, p.metadata, p.next_action, p.failure_code,
    p.failure_provider_code,
    p.failure_message, p.provider_ref, p.receipt, p.status_source, p.late, p.recon_since,
    p.created_at, p.updated_at, p.expires_at, p.completed_at,
    e.seq, e.type, e.data
from (select k.merchant_id, k.id from reli.payment k
      where (k.merchant_id, k.id) > ($1, $2)
      order by k.merchant_id, k.id
      limit $3) page
join reli.payment p on p.merchant_id = page.merchant_id and p.id = page.id
left join reli.event e on e.merchant_id = p.merchant_id and e.subject_id = p.id
order by p.merchant_id, p.id, e.seq
