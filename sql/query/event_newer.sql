-- Which of many payments have events behind the seq that is known. $1, $2, $3 texts of arrays:
-- merchants, payments, seqs. Columns: merchant, payment.
select c.merchant_id, c.payment_id
from unnest($1::text::uuid[], $2::text::uuid[], $3::text::int4[]) as c(merchant_id, payment_id, seq)
where exists (select from reli.event e
              where e.merchant_id = c.merchant_id and e.subject_id = c.payment_id and e.seq > c.seq)
