-- What a fan-out needs: the event, the payment's or payout's own callback_url and the merchant's
-- endpoints that are enabled. $1 uuid merchant, $2 uuid payment or payout, $3 int4 seq.
-- Rows: one per endpoint (those columns are null when there is none), with what the event says in
-- the first one only. Columns: as core/flow/webhook.h has them.
with e as materialized (
    select e.id, e.type, e.mode, e.subject_id, e.seq, e.data, e.created_at,
        coalesce(p.pii, o.pii) as pii, coalesce(p.callback_url, o.callback_url) as callback_url,
        m.webhook_secret, coalesce(p.traceparent, o.traceparent) as traceparent,
        (select string_agg(v.id || ' ' || v.type, ',' order by v.seq desc)
         from (select b.id, b.type, b.seq from reli.event b
               where b.merchant_id = $1 and b.subject_id = $2 and b.seq < $3
               order by b.seq desc limit 32) v) as earlier
    from reli.event e
    join reli.merchant m on m.merchant_id = e.merchant_id
    left join reli.payment p on p.merchant_id = e.merchant_id and p.id = e.subject_id
    left join reli.payout o on o.merchant_id = e.merchant_id and o.id = e.subject_id
    where e.merchant_id = $1 and e.subject_id = $2 and e.seq = $3
)
select x.id, x.type, x.mode, x.subject_id, x.seq, case when x.n = 1 then e.data end, e.created_at,
    case when x.n = 1 then e.pii end, x.callback_url, e.webhook_secret,
    case when x.n = 1 then e.earlier end, e.traceparent, x.endpoint_id, x.url, x.status,
    x.secrets, x.events, x.ordered
from (
    select e.id, e.type, e.mode, e.subject_id, e.seq, e.callback_url, w.id as endpoint_id, w.url,
        w.status, w.secrets, w.events, w.ordered, row_number() over (order by w.id) as n
    from e
    left join reli.webhook_endpoint w on w.merchant_id = $1 and w.mode = e.mode
        and w.status = 'enabled'
) x
join e on true
order by x.n
