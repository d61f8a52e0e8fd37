-- Security events, newest first. $1 uuid merchant, $2 text kind or null; $3 to $6 the part.
select e.id, e.kind, e.address, e.actor, e.route, e.detail, e.times, e.created_at, e.last_at
from reli.security_event e
where e.merchant_id = $1 and ($2::text is null or e.kind = $2)
  and e.id >= $3 and e.id < $4
order by e.id desc
limit $5 offset $6
