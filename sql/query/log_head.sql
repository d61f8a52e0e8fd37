-- Where a merchant's log of events ends. $1 uuid merchant.
-- Row: int8 the last position, 0 none.
select coalesce(max(p.position + p.n) - 1, 0)
from reli.log_position p
where p.merchant_id = $1 and p.kind = 1
  and p.position = (select max(q.position) from reli.log_position q
                    where q.merchant_id = $1 and q.kind = 1)
