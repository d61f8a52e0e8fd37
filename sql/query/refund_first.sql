-- A refund as it was told of first. $1 uuid merchant, $2 uuid payment, $3 text refund.
-- Columns: data, created_at.
select e.data, e.created_at
from reli.event e
where e.merchant_id = $1 and e.subject_id = $2 and e.type = 'refund.pending'
  and starts_with(e.data, '{"id":"' || $3 || '"')
order by e.seq
limit 1
