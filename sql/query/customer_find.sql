-- Customers to whom all of these words belong, newest first. $1 uuid merchant, $2 text mode, $3
-- uuid cursor or null, $4 int8 limit; hashes or null: $5 bytea external id, $6 bytea phone, $7
-- bytea e-mail.
-- Columns: id, external_id, status, created_at, updated_at, erased_at, wiped_at; of the latest
-- payment that tells who he is: id, pii.
with wanted as (
    select w.word from (values ($5::bytea), ($6::bytea), ($7::bytea)) as w(word)
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
)
select c.id, c.external_id, c.status, c.created_at, c.updated_at, c.erased_at, c.wiped_at,
    p.id, p.pii
from found f
join reli.customer c on c.merchant_id = $1 and c.mode = $2 and c.key = f.key
left join lateral (
    select p.id, p.pii from reli.payment p
    where p.merchant_id = c.merchant_id and p.customer_key = c.key and p.pii is not null
    order by p.id desc
    limit 1) p on true
where c.id < coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
order by c.id desc
limit $4
