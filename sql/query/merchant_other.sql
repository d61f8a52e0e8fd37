-- Whether anybody but this merchant may use the installation's accounts. $1 uuid merchant. Rows:
-- one other's id, if there is one.
select m.merchant_id
from reli.merchant m
where m.merchant_id <> $1 and m.merchant_id <> '00000000-0000-0000-0000-000000000000'
  and m.status <> 'closed'
limit 1
