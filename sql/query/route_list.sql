-- The routes that count now. $1 uuid merchant, or null for all; $2 int8 limit.
-- Columns: merchant, mode, version, routes.
select distinct on (s.merchant_id, s.mode) s.merchant_id, s.mode, s.version, s.routes
from reli.route_set s
where $1::uuid is null or s.merchant_id = $1
order by s.merchant_id, s.mode, s.version desc
limit $2
