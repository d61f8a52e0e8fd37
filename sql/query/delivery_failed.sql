-- Deliveries to an endpoint that were given up since a moment and have not been made again since,
-- of an event the last one, for /recover. $1 uuid merchant, $2 uuid endpoint, $3 uuid least
-- delivery id, $4 int8 limit, $5 timestamptz until or null. Column: delivery id.
select d.id
from reli.webhook_delivery d
where d.merchant_id = $1 and d.endpoint_id = $2 and d.id >= $3
  and ($5::timestamptz is null or d.created_at < $5) and d.status in ('dead', 'cancelled')
  and not exists (
      select 1
      from reli.delivery_owner o
      join reli.webhook_delivery b on b.merchant_id = o.merchant_id and b.id = o.delivery_id
      where o.merchant_id = d.merchant_id and o.payment_id = d.payment_id and o.seq = d.seq
        and o.endpoint_id = d.endpoint_id and (b.created_at, b.id) > (d.created_at, d.id)
        and (b.status not in ('dead', 'cancelled') or $5 is null or b.created_at < $5))
order by d.id
limit $4
