-- A payment's refunds, oldest first, each with its attempts: a row per attempt, one with nulls if
-- there is none. $1 uuid merchant, $2 uuid payment; $3 to $6 the part. Columns: of refund_get.
with page as (
    select o.refund_id
    from reli.refund_owner o
    where o.merchant_id = $1 and o.payment_id = $2
      and o.refund_id >= $3 and o.refund_id < $4
    order by o.refund_id asc
    limit $5 offset $6
)
select r.merchant_id, r.id, r.payment_id, r.account_id, r.mode, r.status, r.version, r.amount,
    r.currency, r.reason, r.requested_by, r.approved_by, r.late, r.excess, r.failure_code,
    r.failure_provider_code, r.failure_message, r.provider_ref, r.receipt, r.recon_since,
    r.park_n, r.created_at, r.updated_at, r.completed_at, r.traceparent, r.requester,
    a.n, a.rail, a.status, a.provider_ref, a.receipt, a.provider_code, a.code, a.sent_at,
        a.answered_at,
    a.poll_n, a.next_poll_at
from page k
join reli.refund r on r.merchant_id = $1 and r.id = k.refund_id
left join reli.refund_attempt a on a.merchant_id = r.merchant_id and a.refund_id = r.id
order by r.id asc, a.n
