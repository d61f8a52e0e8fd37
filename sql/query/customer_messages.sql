-- What was said to providers and what they sent about a page of a person's payments
-- (customer_payments.sql). $1 uuid merchant, $2 uuid customer, $3 uuid cursor or null, $4 int8
-- limit, $5 int8 most messages.
-- Columns: payment, merchant of the row, id, bool whether it came in, what, created_at, the body,
-- sealed; null where it is too large to be shown.
with keys as (
    select c.key from reli.customer c where c.merchant_id = $1 and c.id = $2 and c.key is not null
    union
    select k.key from reli.customer c
    join reli.customer_handle h on h.merchant_id = $1 and h.mode = c.mode and h.key = c.key
    join reli.customer k on k.merchant_id = $1 and k.mode = c.mode and k.key = h.handle
    where c.merchant_id = $1 and c.id = $2
),
page as (
    select p.id from reli.payment p
    where p.merchant_id = $1 and p.customer_key in (select key from keys)
      and p.id < coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    order by p.id desc
    limit $4
),
subjects as (
    select page.id as payment_id, page.id from page
    union all
    select page.id, o.refund_id from page
    join reli.refund_owner o on o.merchant_id = $1 and o.payment_id = page.id
)
select m.payment_id, m.merchant_id, m.id, m.inbound, m.what, m.created_at,
    case when length(m.body) <= 16384 then m.body end
from (
    select c.payment_id, c.merchant_id, c.id, false as inbound, c.op as what, c.created_at, c.body
    from page
    join reli.provider_call c on c.merchant_id = $1 and c.payment_id = page.id
    union all
    select s.payment_id, v.merchant_id, v.id, true, v.provider, v.created_at, v.raw
    from subjects s
    join reli.provider_event v on v.merchant_id = $1
        and v.subject_id between s.id and (left(s.id::text, 35) || 'f')::uuid
    union all
    select v.payment_id, v.merchant_id, v.id, true, v.provider, v.created_at, v.raw
    from page
    join reli.provider_event v on v.payment_id = page.id and v.kind = 'confirmation'
        and v.merchant_id in ($1, '00000000-0000-0000-0000-000000000000')
) m
where m.body <> ''
order by m.created_at, m.id
limit $5
