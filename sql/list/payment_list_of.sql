-- One customer's payments, newest first. $1 to $10 and columns as in payment_list, $11 uuid our id
-- of the customer or null, $12 bytea hash of the merchant's own id of him, which counts if nobody
-- has that id of ours; $13 to $16 the part.
select p.merchant_id, p.id, p.mode, p.status, p.version, p.revision, p.op_id, p.reference,
    p.reference_no, p.pay_code, p.provider, p.payment_method, p.account_id, p.amount, p.currency,
    p.received, p.refunded, p.refund_reserved, p.fee, p.fee_due, p.fee_on_top, p.customer_id,
    p.pii, p.description, p.return_url, p.callback_url, p.metadata, p.next_action, p.failure_code,
    p.failure_provider_code, p.failure_message, p.provider_ref, p.receipt, p.status_source, p.late,
    p.recon_since, p.created_at, p.updated_at, p.expires_at, p.completed_at
from reli.payment p
where p.merchant_id = $1 and p.mode = $2
  and ($3::text is null or p.provider = $3)
  and ($4::text is null or p.status = $4)
  and p.customer_key = coalesce((
      select c.key from reli.customer c
      where c.merchant_id = $1 and c.mode = $2 and c.id = $11), $12::bytea)
  and ($5::text is null or p.payment_method = $5)
  and ($6::text is null or p.currency = $6)
  and ($7 < 0 or p.amount * case when strpos($9, p.currency) > 0 then 1000
                                 when strpos($10, p.currency) > 0 then 1 else 10 end
       between $7 and $8)
  and p.id >= $13 and p.id < $14
order by p.id desc
limit $15 offset $16
