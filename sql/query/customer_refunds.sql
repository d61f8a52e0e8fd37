-- The refunds of a page of a person's payments (customer_payments.sql). $1 uuid merchant, $2 uuid
-- customer, $3 uuid cursor or null, $4 int8 limit. Columns as in refund_get.
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
select r.merchant_id, r.id, r.payment_id, r.account_id, r.mode, r.status, r.version, r.amount,
    r.currency, r.reason, r.requested_by, r.approved_by, r.late, r.excess, r.failure_code,
    r.failure_provider_code, r.failure_message, r.provider_ref, r.receipt, r.recon_since,
    r.park_n, r.created_at, r.updated_at, r.completed_at, r.traceparent, r.requester,
    a.n, a.rail, a.status, a.provider_ref, a.receipt, a.provider_code, a.code, a.sent_at,
        a.answered_at,
    a.poll_n, a.next_poll_at
from page
join reli.refund_owner o on o.merchant_id = $1 and o.payment_id = page.id
join reli.refund r on r.merchant_id = $1 and r.id = o.refund_id
left join reli.refund_attempt a on a.merchant_id = $1 and a.refund_id = r.id
order by r.id, a.n
