-- A delivery with what it sends and where to. $1 uuid merchant, $2 uuid delivery, $3 timestamptz
-- now.
-- Columns: as core/flow/webhook.h has them (those of the endpoint are null for a payment's own
-- callback_url, and when it was deleted); status, revision, tries, endpoint_id; for an endpoint
-- that wants them in order, when to look again because an earlier one is still on its way.
select e.id, e.type, d.mode, d.payment_id, d.seq, e.data, e.created_at, coalesce(p.pii, po.pii),
    coalesce(p.callback_url, po.callback_url), m.webhook_secret,
    (select string_agg(v.id || ' ' || v.type, ',' order by v.seq desc)
     from (select b.id, b.type, b.seq from reli.event b
           where b.merchant_id = d.merchant_id and b.subject_id = d.payment_id and b.seq < d.seq
           order by b.seq desc limit 32) v), coalesce(p.traceparent, po.traceparent),
    w.id, w.url, w.status, w.secrets, w.events, w.ordered,
    d.status, d.revision, d.tries, d.endpoint_id,
    case when w.ordered then coalesce(
        (select min(greatest(case when b.status = 'sending' then $3 else b.next_at end, $3)
                    + interval '500 ms')
         from reli.delivery_owner o
         join reli.webhook_delivery b on b.merchant_id = o.merchant_id and b.id = o.delivery_id
         where o.merchant_id = d.merchant_id and o.payment_id = d.payment_id and o.seq < d.seq
           and o.endpoint_id = d.endpoint_id and b.status in ('scheduled', 'sending', 'retry')),
        (select min($3::timestamptz + interval '500 ms') from reli.job j
         where j.merchant_id = d.merchant_id and j.kind = 'fanout' and j.subject = d.payment_id
           and j.n < d.seq))
    end
from reli.webhook_delivery d
join reli.event e on e.merchant_id = d.merchant_id and e.subject_id = d.payment_id and e.seq = d.seq
left join reli.payment p on p.merchant_id = d.merchant_id and p.id = d.payment_id
left join reli.payout po on po.merchant_id = d.merchant_id and po.id = d.payment_id
join reli.merchant m on m.merchant_id = d.merchant_id
left join reli.webhook_endpoint w on w.merchant_id = d.merchant_id and w.id = d.endpoint_id
where d.merchant_id = $1 and d.id = $2
