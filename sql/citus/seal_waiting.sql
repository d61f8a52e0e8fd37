-- As sql/query/seal_waiting.sql, without its look-up for each merchant: Citus cannot join what is
-- limited row by row.
select h.merchant_id, coalesce(s.n, 0)::int8, a.hash, coalesce(s.to_position, 0)::int8, h.head
from (
    select p.merchant_id, max(p.position + p.n) - 1 as head
    from reli.log_position p
    where p.kind = 2 and ($1::uuid is null or p.merchant_id = $1)
    group by p.merchant_id
) h
left join (
    select x.merchant_id, max(x.n) as n, max(x.to_position) as to_position
    from reli.audit_seal x
    where $1::uuid is null or x.merchant_id = $1
    group by x.merchant_id
) s on s.merchant_id = h.merchant_id
left join reli.audit_seal a on a.merchant_id = s.merchant_id and a.n = s.n
where h.head > coalesce(s.to_position, 0)
limit $2
