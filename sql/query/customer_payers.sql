-- Money that came unasked from a person's number and was not matched with a payment. $1 uuid
-- merchant, $2 uuid customer, $3 int8 limit.
-- Columns: id, status, amount, currency, receipt, payer, created_at.
with words as (
    select c.mode, c.key as word from reli.customer c
    where c.merchant_id = $1 and c.id = $2 and c.key is not null
    union
    select h.mode, h.handle from reli.customer c
    join reli.customer_handle h on h.merchant_id = $1 and h.mode = c.mode and h.key = c.key
    where c.merchant_id = $1 and c.id = $2
)
select x.id, x.status, x.amount, x.currency, x.receipt, x.payer, x.created_at
from words
join reli.exception_item x on x.merchant_id = $1 and x.payer_key = words.word
    and x.mode = words.mode
order by x.id desc
limit $3
