-- A customer by our id or by the hash of the merchant's own. $1 uuid merchant, $2 text mode, $3
-- uuid id or null, $4 bytea key.
-- Columns: id, external_id, status, created_at, updated_at, erased_at, wiped_at; of the latest
-- payment that tells who he is: id, pii.
select c.id, c.external_id, c.status, c.created_at, c.updated_at, c.erased_at, c.wiped_at,
    p.id, p.pii
from reli.customer c
left join lateral (
    select p.id, p.pii from reli.payment p
    where p.merchant_id = c.merchant_id and p.customer_key = c.key and p.pii is not null
    order by p.id desc
    limit 1) p on true
where c.merchant_id = $1 and c.mode = $2 and (c.id = $3 or c.key = $4)
order by (c.id = $3) desc nulls last
limit 1
