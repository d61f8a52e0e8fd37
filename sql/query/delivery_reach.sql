-- How far a page with filters looks, so that it ends if nothing matches: the id of the row that
-- is $3 rows behind the cursor; none if there are not so many. $1 uuid merchant, $2 uuid cursor or
-- null, $3 int8 rows.
select d.id
from reli.webhook_delivery d
where d.merchant_id = $1 and d.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
order by d.id desc
offset $3 - 1 limit 1
