-- Dead deliveries to an endpoint since a moment, for /recover. $1 uuid merchant, $2 uuid endpoint,
-- $3 uuid least delivery id, $4 int8 limit. Column: delivery id.
select d.id
from reli.webhook_delivery d
where d.merchant_id = $1 and d.endpoint_id = $2 and d.id >= $3 and d.status = 'dead'
order by d.id
limit $4
