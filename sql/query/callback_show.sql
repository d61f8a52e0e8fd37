-- One stored callback. $1 uuid merchant, $2 text mode, $3 uuid id. Columns as in callback_list,
-- then raw (sealed).
select v.id, v.subject_id, v.dedupe_key, v.provider, v.kind, v.state, v.reason, v.payment_id,
    v.attempt_n, v.peer, v.ip_ok, v.created_at, v.updated_at, j.run_at, j.tries, v.raw
from reli.provider_event v
left join reli.job j on j.merchant_id = v.merchant_id and j.kind = 'inbound'
    and j.subject = v.subject_id
    and j.n = ('x' || encode(substring(v.dedupe_key from 1 for 4), 'hex'))::bit(32)::int4
              & 2147483647
where v.merchant_id = $1 and v.mode = $2 and v.id = $3
