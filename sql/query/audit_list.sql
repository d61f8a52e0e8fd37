-- The audit trail of one subject. $1 uuid merchant, $2 uuid subject.
select l.id, l.action, l.actor, l.before, l.after, l.detail, l.created_at
from reli.audit_log l
where l.merchant_id = $1 and l.subject_id = $2
order by l.id
limit 200
