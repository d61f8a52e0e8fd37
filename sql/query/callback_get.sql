-- A stored callback by its job: the subject, and the number that its dedupe key begins with.
-- $1 uuid merchant, $2 uuid subject, $3 int4 n. Columns: dedupe_key, provider, payment_id,
-- attempt_n, kind, state, ip_ok, raw, id.
select v.dedupe_key, v.provider, v.payment_id, v.attempt_n, v.kind, v.state, v.ip_ok, v.raw,
    v.id
from reli.provider_event v
where v.merchant_id = $1 and v.subject_id = $2
  and ('x' || encode(substring(v.dedupe_key from 1 for 4), 'hex'))::bit(32)::int4 & 2147483647 = $3
limit 1
