-- The requests of a delivery, first to last. $1 uuid merchant, $2 uuid delivery, $3 int8 limit.
-- Columns: n, at, http (0: none), error, took_us, answer (sealed). The one that delivered it stands
-- in the delivery when it was answered with nothing.
select x.n, x.at, x.http, x.error, x.took_us, x.answer
from (
    select a.n, a.at, a.http, a.error, a.took_us, a.answer
    from reli.delivery_attempt a
    where a.merchant_id = $1 and a.delivery_id = $2
    union all
    select d.tries, d.updated_at, d.last_http, d.last_error, d.last_took_us, null
    from reli.webhook_delivery d
    where d.merchant_id = $1 and d.id = $2 and d.status = 'delivered'
      and not exists (select from reli.delivery_attempt a
                      where a.merchant_id = $1 and a.delivery_id = $2 and a.n = d.tries)
) x
order by x.n
limit $3
