-- Deliveries, newest first. $1 uuid merchant, $2 text mode, $3 text status or null, $4 uuid cursor
-- or null, $5 int8 limit, $6 uuid endpoint or null, $7 uuid first id or null.
select d.id, d.payment_id, d.seq, d.event_id, d.event_type, d.endpoint_id, d.status, d.tries,
    d.next_at, d.last_http, d.last_error, d.created_at, d.updated_at
from reli.webhook_delivery d
where d.merchant_id = $1 and d.mode = $2 and ($3::text is null or d.status = $3)
  and ($6::uuid is null or d.endpoint_id = $6)
  and d.id >= coalesce($7::uuid, '00000000-0000-0000-0000-000000000000')
  and d.id < coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
order by d.id desc
limit $5
