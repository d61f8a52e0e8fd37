-- A refund as it was told of first. $1 uuid merchant, $2 uuid payment, $3 text refund.
-- Columns: data, created_at, status (now).
select e.data, e.created_at,
    (select r.status from reli.refund r where r.merchant_id = $1 and r.id = $3::text::uuid)
from reli.event e
where e.merchant_id = $1 and e.subject_id = $2 and e.type = 'refund.pending'
  and starts_with(e.data, '{"id":"' || $3::text || '"')
order by e.seq
limit 1
