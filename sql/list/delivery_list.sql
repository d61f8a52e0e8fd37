-- Deliveries, newest first. $1 uuid merchant, $2 text mode, $3 text status or null, $4 uuid
-- endpoint or null; $5 to $8 the part.
select d.id, d.payment_id, d.seq, d.event_id, d.event_type, d.endpoint_id, d.status, d.tries,
    d.next_at, d.last_http, d.last_error, d.created_at, d.updated_at
from reli.webhook_delivery d
where d.merchant_id = $1 and d.mode = $2 and ($3::text is null or d.status = $3)
  and ($4::uuid is null or d.endpoint_id = $4)
  and d.id >= $5 and d.id < $6
order by d.id desc
limit $7 offset $8
