-- What a fan-out needs: first a row with what the event says and where the payment or payout wants
-- it, then a row for each of the merchant's endpoints that are enabled. $1 uuid merchant, $2 uuid
-- payment or payout, $3 int4 seq, $4 text mode.
-- Columns: as core/flow/webhook.h has them; up to traceparent the event's, then the endpoint's,
-- each null in the others' rows.
select e.id, e.type, e.mode, e.subject_id, e.seq, e.data, e.created_at,
    coalesce(p.pii, o.pii), coalesce(p.callback_url, o.callback_url), m.webhook_secret,
    (select string_agg(v.id || ' ' || v.type, ',' order by v.seq desc)
     from (select b.id, b.type, b.seq from reli.event b
           where b.merchant_id = $1 and b.subject_id = $2 and b.seq < $3
           order by b.seq desc limit 32) v), coalesce(p.traceparent, o.traceparent),
    null::uuid as endpoint_id, null, null, null::bytea, null, null::bool
from reli.event e
join reli.merchant m on m.merchant_id = e.merchant_id
left join reli.payment p on p.merchant_id = e.merchant_id and p.id = e.subject_id
left join reli.payout o on o.merchant_id = e.merchant_id and o.id = e.subject_id
where e.merchant_id = $1 and e.subject_id = $2 and e.seq = $3
union all
select null, null, null, null, null, null, null, null, null, null, null, null,
    w.id, w.url, w.status, w.secrets, w.events, w.ordered
from reli.webhook_endpoint w
where w.merchant_id = $1 and w.mode = $4 and w.status = 'enabled'
order by endpoint_id nulls first
