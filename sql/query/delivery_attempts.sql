-- The requests of a delivery, first to last. $1 uuid merchant, $2 uuid delivery, $3 int8 limit.
-- Columns: n, at, http (0: none), error, took_us, answer (sealed).
select a.n, a.at, a.http, a.error, a.took_us, a.answer
from reli.delivery_attempt a
where a.merchant_id = $1 and a.delivery_id = $2
order by a.n
limit $3
