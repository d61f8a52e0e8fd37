-- Deliveries to an endpoint that were given up since a moment, for /recover. $1 uuid merchant, $2
-- uuid endpoint, $3 uuid least delivery id, $4 int8 limit, $5 timestamptz until or null. Column:
-- delivery id.
select d.id
from reli.webhook_delivery d
where d.merchant_id = $1 and d.endpoint_id = $2 and d.id >= $3
  and ($5::timestamptz is null or d.created_at < $5) and d.status in ('dead', 'cancelled')
order by d.id
limit $4
