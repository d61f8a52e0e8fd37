-- What was paid out to a person's numbers, newest first. $1 uuid merchant, $2 uuid customer, $3
-- int8 limit.
-- Columns: of store/payout_rows.c.
with words as (
    select c.mode, c.key as word from reli.customer c
    where c.merchant_id = $1 and c.id = $2 and c.key is not null
    union
    select h.mode, h.handle from reli.customer c
    join reli.customer_handle h on h.merchant_id = $1 and h.mode = c.mode and h.key = c.key
    where c.merchant_id = $1 and c.id = $2
)
select p.merchant_id, p.id, p.mode, p.status, p.version, p.revision, p.op_id, p.reference,
    p.provider, p.payment_method, p.account_id, p.amount, p.currency, p.pii, p.purpose,
    p.description, p.callback_url, p.metadata, p.requested_by, p.approved_by, p.wallet_id, p.late,
    p.failure_code, p.failure_provider_code, p.failure_message, p.provider_ref, p.receipt, p.n,
    p.request, p.paid_n, p.sent_at, p.answered_at, p.poll_n, p.park_n, p.next_at, p.recon_since,
    p.created_at, p.updated_at, p.completed_at, p.traceparent, p.requester
from words
join reli.payout p on p.merchant_id = $1 and p.payee_key = words.word and p.mode = words.mode
order by p.id desc
limit $3
