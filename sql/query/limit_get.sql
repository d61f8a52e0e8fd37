-- A merchant's limits on money. $1 uuid merchant, $2 text mode. Columns: currency, scope, method,
-- span, max_amount, max_count.
select currency, scope, method, span, max_amount, max_count from reli.limit_rule
where merchant_id = $1 and mode = $2
order by currency, scope, method, span
