-- Security events, newest first. $1 uuid merchant, $2 text kind or null, $3 uuid from or null, $4
-- uuid until or null, $5 uuid cursor or null, $6 int8 limit.
select e.id, e.kind, e.address, e.actor, e.route, e.detail, e.times, e.created_at, e.last_at
from reli.security_event e
where e.merchant_id = $1 and ($2::text is null or e.kind = $2)
  and e.id >= coalesce($3::uuid, '00000000-0000-0000-0000-000000000000')
  and e.id < least(coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'),
                   coalesce($5::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
order by e.id desc
limit $6
