-- One refund with its attempts, or all refunds of a payment: a row per attempt, one with nulls if
-- there is none. $1 uuid merchant, $2 uuid payment (null: any), $3 uuid refund (null: all of the
-- payment). Columns: refund_columns, then rail_columns of store/refund_rows.c.
select r.merchant_id, r.id, r.payment_id, r.account_id, r.mode, r.status, r.version, r.amount,
    r.currency, r.reason, r.requested_by, r.approved_by, r.late, r.excess, r.failure_code,
    r.failure_provider_code, r.failure_message, r.provider_ref, r.receipt, r.recon_since,
    r.park_n, r.created_at, r.updated_at, r.completed_at, r.traceparent, r.requester,
    a.n, a.rail, a.status, a.provider_ref, a.receipt, a.provider_code, a.code, a.sent_at,
        a.answered_at,
    a.poll_n, a.next_poll_at
from (select o.merchant_id, o.refund_id from reli.refund_owner o
      where o.merchant_id = $1 and o.payment_id = $2 and $3::uuid is null
      union all
      select $1, $3 where $3::uuid is not null) k
join reli.refund r on r.merchant_id = k.merchant_id and r.id = k.refund_id
left join reli.refund_attempt a on a.merchant_id = r.merchant_id and a.refund_id = r.id
order by r.id, a.n
