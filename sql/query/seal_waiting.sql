-- Merchants, the platform too, with audit positions behind their last seal. $1 uuid merchant, null
-- for all; $2 int8 limit.
-- Columns: merchant, number and hash of the last seal (0 and null without), its last position, the
-- last position.
select m.merchant_id, coalesce(s.n, 0)::int8, s.hash, coalesce(s.to_position, 0)::int8, h.head
from (select o.merchant_id from reli.merchant o
      union all select '00000000-0000-0000-0000-000000000000') m -- the platform
cross join lateral (select p.position + p.n - 1 as head from reli.log_position p
                    where p.merchant_id = m.merchant_id and p.kind = 2
                    order by p.position desc limit 1) h
left join lateral (select * from reli.audit_seal a where a.merchant_id = m.merchant_id
                   order by a.n desc limit 1) s on true
where h.head > coalesce(s.to_position, 0) and ($1::uuid is null or m.merchant_id = $1)
limit $2
