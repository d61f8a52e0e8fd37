-- The events of a page of a person's payments (customer_payments.sql). $1 uuid merchant, $2 uuid
-- customer, $3 uuid cursor or null, $4 int8 limit.
-- Columns: payment, seq, id, type, data, created_at, mode.
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
)
select e.subject_id, e.seq, e.id, e.type, e.data, e.created_at, e.mode
from page
join reli.event e on e.merchant_id = $1 and e.subject_id = page.id
order by e.subject_id, e.seq
