-- For the command line: limits on money, of one merchant or of all. $1 uuid merchant or null, $2
-- int8 limit. Columns: merchant_id, mode, then those of limit_get.
select merchant_id, mode, currency, scope, method, span, max_amount, max_count
from reli.limit_rule
where $1::uuid is null or merchant_id = $1
order by merchant_id, mode, currency, scope, method, span
limit $2
