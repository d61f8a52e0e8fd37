-- The routes that count now. $1 uuid merchant, $2 text mode. Columns: version, routes.
select version, routes from reli.route_set
where merchant_id = $1 and mode = $2
order by version desc
limit 1
