-- A delivery with what it sends and where to. $1 uuid merchant, $2 uuid delivery.
-- Columns: status, revision, tries, payment_id, seq, event_id, event_type, endpoint_id, mode,
-- created_at; event data and created_at; payment pii, callback_url; endpoint url, status, secrets;
-- merchant webhook_secret.
select d.status, d.revision, d.tries, d.payment_id, d.seq, d.event_id, d.event_type, d.endpoint_id,
    d.mode, d.created_at, e.data, e.created_at, p.pii, p.callback_url, w.url, w.status, w.secrets,
    m.webhook_secret
from reli.webhook_delivery d
join reli.event e on e.merchant_id = d.merchant_id and e.subject_id = d.payment_id and e.seq = d.seq
join reli.payment p on p.merchant_id = d.merchant_id and p.id = d.payment_id
join reli.merchant m on m.merchant_id = d.merchant_id
left join reli.webhook_endpoint w on w.merchant_id = d.merchant_id and w.id = d.endpoint_id
where d.merchant_id = $1 and d.id = $2
