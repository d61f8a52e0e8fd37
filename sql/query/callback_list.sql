-- Stored callbacks, of what is newest first (a subject's id is its time). $1 uuid merchant, $2 text
-- mode, $3 text state or null, $4 uuid payment or null, $5 uuid of the last one's subject or null,
-- $6 bytea its dedupe key, $7 int8 limit.
-- Columns: id, provider, kind, state, reason, payment_id, attempt_n, peer, ip_ok, created_at,
-- updated_at, subject_id, dedupe_key; when it is processed next, how often it has been tried.
select v.id, v.provider, v.kind, v.state, v.reason, v.payment_id, v.attempt_n, v.peer, v.ip_ok,
    v.created_at, v.updated_at, v.subject_id, v.dedupe_key, j.run_at, j.tries
from reli.provider_event v
left join reli.job j on j.merchant_id = v.merchant_id and j.kind = 'inbound'
    and j.subject = v.subject_id
    and j.n = ('x' || encode(substring(v.dedupe_key from 1 for 4), 'hex'))::bit(32)::int4
              & 2147483647
where v.merchant_id = $1 and v.mode = $2 and ($3::text is null or v.state = $3)
  and ($4::uuid is null or v.payment_id = $4)
  and ($5::uuid is null or (v.subject_id, v.dedupe_key) < ($5, $6::bytea))
order by v.subject_id desc, v.dedupe_key desc
limit $7
