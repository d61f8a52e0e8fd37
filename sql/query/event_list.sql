-- Events of one subject behind a seq. $1 uuid merchant, $2 uuid subject, $3 int4 seq, $4 int8
-- limit.
-- Columns: seq, id, type, data, created_at, mode.
select e.seq, e.id, e.type, e.data, e.created_at, e.mode
from reli.event e
where e.merchant_id = $1 and e.subject_id = $2 and e.seq > $3
order by e.seq
limit $4
