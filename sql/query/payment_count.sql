-- How many payments a filter finds, at most $11. Parameters $1 to $10 as in payment_list, $12
-- and $13 as $14 and $15 there. Row: int8.
select count(*)
from (
    select from reli.payment p
    where p.merchant_id = $1 and p.mode = $2
      and ($3::text is null or p.provider = $3)
      and ($4::text is null or p.status = $4)
      and ($5::text is null or p.payment_method = $5)
      and ($6::text is null or p.currency = $6)
      and ($7 < 0 or p.amount * case when strpos($12, p.currency) > 0 then 1000
                                     when strpos($13, p.currency) > 0 then 1 else 10 end
           between $7 and $8)
      and p.id >= coalesce($9::uuid, '00000000-0000-0000-0000-000000000000')
      and p.id < coalesce($10::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    limit $11
) as found
