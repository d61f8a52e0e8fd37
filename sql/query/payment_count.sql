-- How many payments a filter finds, at most $12. Parameters $1 to $11 as in payment_list. Row:
-- int8.
select count(*)
from (
    select from reli.payment p
    where p.merchant_id = $1 and p.mode = $2
      and ($3::text is null or p.provider = $3)
      and ($4::text is null or p.status = $4)
      and ($5::text is null or p.customer_id = $5
       or p.customer_key = (
           select c.key from reli.customer c
           where c.merchant_id = $1 and c.mode = $2
             and c.id = case when $5 ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                        then $5::uuid end))
      and ($6::text is null or p.payment_method = $6)
      and ($7::text is null or p.currency = $7)
      and p.amount between $8 and $9
      and p.id >= coalesce($10::uuid, '00000000-0000-0000-0000-000000000000')
      and p.id < coalesce($11::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    limit $12
) as found
