-- Events of one subject, in their order. $1 uuid merchant, $2 uuid subject; $3 to $6 the part, by
-- seq. Columns: of event_list.
select e.seq, e.id, e.type, e.data, e.created_at, e.mode
from reli.event e
where e.merchant_id = $1 and e.subject_id = $2
  and e.seq >= $3::int4 and e.seq < $4::int4
order by e.seq asc
limit $5 offset $6
