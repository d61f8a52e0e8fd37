-- Deliveries to an endpoint that were given up since a moment and have not been made again since,
-- of an event the last one, for /recover. $1 uuid merchant, $2 uuid endpoint, $3 uuid least
-- delivery id, $4 int8 limit, $5 uuid the first id that is too late, or null. Column: delivery id.
-- By scalar subqueries, which go by the key of each row: of "not exists" PostgreSQL would make a
-- join, and read all that the merchant has.
select d.id
from reli.webhook_delivery d
where d.merchant_id = $1 and d.endpoint_id = $2 and d.id >= $3
  and ($5::uuid is null or d.id < $5) and d.status in ('dead', 'cancelled')
  and d.id = (
      select o.delivery_id
      from reli.delivery_owner o
      where o.merchant_id = $1 and o.payment_id = d.payment_id and o.seq = d.seq
        and o.endpoint_id = $2 and ($5 is null or o.delivery_id < $5)
      order by o.n desc limit 1)
  and (
      select b.status
      from reli.webhook_delivery b
      where b.merchant_id = $1 and b.id = (
          select o.delivery_id
          from reli.delivery_owner o
          where o.merchant_id = $1 and o.payment_id = d.payment_id and o.seq = d.seq
            and o.endpoint_id = $2
          order by o.n desc limit 1)) in ('dead', 'cancelled')
order by d.id
limit $4
