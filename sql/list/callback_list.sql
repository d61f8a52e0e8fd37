-- Stored callbacks, of what is newest first (a subject's id is its time). $1 uuid merchant, $2 text
-- mode, $3 text state or null; $4 to $9 the part, by subject and dedupe key.
-- Columns: id, subject_id, dedupe_key, provider, kind, state, reason, payment_id, attempt_n, peer,
-- ip_ok, created_at, updated_at; when it is processed next, how often it has been tried.
select v.id, v.subject_id, v.dedupe_key, v.provider, v.kind, v.state, v.reason, v.payment_id,
    v.attempt_n, v.peer, v.ip_ok, v.created_at, v.updated_at, j.run_at, j.tries
from reli.provider_event v
left join reli.job j on j.merchant_id = v.merchant_id and j.kind = 'inbound'
    and j.subject = v.subject_id
    and j.n = ('x' || encode(substring(v.dedupe_key from 1 for 4), 'hex'))::bit(32)::int4
              & 2147483647
where v.merchant_id = $1 and v.mode = $2 and ($3::text is null or v.state = $3)
  and (v.subject_id, v.dedupe_key) >= ($4::uuid, $5::bytea)
  and (v.subject_id, v.dedupe_key) < ($6::uuid, $7::bytea)
order by v.subject_id desc, v.dedupe_key desc
limit $8 offset $9
