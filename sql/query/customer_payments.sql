-- A page of a person's payments, newest first: the customer's own, and those of customers who are
-- known by nothing but a number or address of his. $1 uuid merchant, $2 uuid customer, $3 uuid
-- cursor or null, $4 int8 limit. Columns: payment_columns of store/rows.c.
with keys as (
    select c.key from reli.customer c where c.merchant_id = $1 and c.id = $2 and c.key is not null
    union
    select k.key from reli.customer c
    join reli.customer_handle h on h.merchant_id = $1 and h.mode = c.mode and h.key = c.key
    join reli.customer k on k.merchant_id = $1 and k.mode = c.mode and k.key = h.handle
    where c.merchant_id = $1 and c.id = $2
),
page as (
    select p.id from reli.payment p
    where p.merchant_id = $1 and p.customer_key in (select key from keys)
      and p.id < coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    order by p.id desc
    limit $4
)
select p.merchant_id, p.id, p.mode, p.status, p.version, p.revision, p.op_id, p.reference,
    p.reference_no, p.pay_code, p.provider, p.payment_method, p.account_id, p.amount, p.currency,
    p.received, p.refunded, p.refund_reserved, p.fee, p.fee_due, p.fee_on_top, p.customer_id,
    p.pii, p.description, p.return_url, p.callback_url, p.metadata, p.next_action, p.failure_code,
    p.failure_provider_code, p.failure_message, p.provider_ref, p.receipt, p.status_source, p.late,
    p.recon_since, p.created_at, p.updated_at, p.expires_at, p.completed_at
from page
join reli.payment p on p.merchant_id = $1 and p.id = page.id
order by p.id desc
