-- Customers, newest first. $1 uuid merchant, $2 text mode; $3 to $6 the part.
-- Columns: id, external_id, status, created_at, updated_at, erased_at, wiped_at; of the latest
-- payment that tells who he is: id, pii.
with page as (
    select c.id, c.external_id, c.status, c.created_at, c.updated_at, c.erased_at, c.wiped_at,
        c.key
    from reli.customer c
    where c.merchant_id = $1 and c.mode = $2
      and c.id >= $3 and c.id < $4
    order by c.id desc
    limit $5 offset $6
)
select c.id, c.external_id, c.status, c.created_at, c.updated_at, c.erased_at, c.wiped_at,
    p.id, p.pii
from page c
left join lateral (
    select p.id, p.pii from reli.payment p
    where p.merchant_id = $1 and p.customer_key = c.key and p.pii is not null order by p.id desc
    limit 1) p on true
order by c.id desc
