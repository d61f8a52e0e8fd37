-- Customers to whom all of these words belong, newest first. $1 uuid merchant, $2 text mode; hashes
-- or null: $3 bytea external id, $4 bytea phone, $5 bytea e-mail; $6 to $9 the part.
-- Columns: id, external_id, status, created_at, updated_at, erased_at, wiped_at; of the latest
-- payment that tells who he is: id, pii.
with wanted as (
    select w.word from (values ($3::bytea), ($4::bytea), ($5::bytea)) as w(word)
    where w.word is not null
),
known as (
    select w.word, w.word as key from wanted w
    union
    select w.word, h.key from wanted w
    join reli.customer_handle h on h.merchant_id = $1 and h.mode = $2 and h.handle = w.word
),
found as (
    select k.key from known k group by k.key having count(*) = (select count(*) from wanted)
),
page as (
    select c.id, c.external_id, c.status, c.created_at, c.updated_at, c.erased_at, c.wiped_at,
        c.key
    from found f
    join reli.customer c on c.merchant_id = $1 and c.mode = $2 and c.key = f.key
    where c.id >= $6 and c.id < $7
    order by c.id desc
    limit $8 offset $9
)
select c.id, c.external_id, c.status, c.created_at, c.updated_at, c.erased_at, c.wiped_at,
    p.id, p.pii
from page c
left join lateral (
    select p.id, p.pii from reli.payment p
    where p.merchant_id = $1 and p.customer_key = c.key and p.pii is not null order by p.id desc
    limit 1) p on true
order by c.id desc
