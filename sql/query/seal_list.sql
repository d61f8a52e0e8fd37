-- Seals in order, of all merchants. $1 uuid merchant behind which, $2 int8 n behind which, $3 int8
-- limit.
-- Columns: merchant, n, from, to, hash, mac.
select a.merchant_id, a.n, a.from_position, a.to_position, a.hash, a.mac
from reli.audit_seal a
where (a.merchant_id, a.n) > ($1, $2)
order by a.merchant_id, a.n
limit $3
