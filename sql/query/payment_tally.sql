-- What has become of a merchant's payments: how many of each provider are in each state, of the
-- newest $5. $1 uuid merchant, $2 text mode, $3 uuid first id, $4 uuid id behind the last or null.
-- Columns: provider, status, int8 how many, bool there are more than $5.
select s.provider, s.status, count(*) filter (where s.n <= $5), coalesce(max(s.n) > $5, false)
from (
    select p.provider, p.status, row_number() over (order by p.id desc) as n
    from reli.payment p
    where p.merchant_id = $1 and p.mode = $2
      and p.id >= $3
      and p.id < coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    order by p.id desc
    limit $5 + 1
) as s
group by s.provider, s.status
order by s.provider, s.status
