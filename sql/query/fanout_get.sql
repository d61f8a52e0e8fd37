-- What a fan-out needs: the event, the payment's or payout's own callback_url and the merchant's
-- endpoints that are enabled. $1 uuid merchant, $2 uuid payment or payout, $3 int4 seq.
-- Rows: one per endpoint (endpoint_id null when there is none): event id, type, mode, callback_url,
-- endpoint_id, events filter.
select e.id, e.type, e.mode, coalesce(p.callback_url, o.callback_url), w.id, w.events
from reli.event e
left join reli.payment p on p.merchant_id = e.merchant_id and p.id = e.subject_id
left join reli.payout o on o.merchant_id = e.merchant_id and o.id = e.subject_id
left join reli.webhook_endpoint w on w.merchant_id = e.merchant_id and w.mode = e.mode
    and w.status = 'enabled'
where e.merchant_id = $1 and e.subject_id = $2 and e.seq = $3
order by w.id
