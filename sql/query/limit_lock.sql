-- Takes the locks on the counters that a batch changes, in the order of their keys, before any
-- other statement of it: makes those that are new, and touches the others. What follows in the
-- transaction then reads them as they are, and two batches cannot wait for each other.
insert into reli.limit_counter (merchant_id, id, about, amount, n, touched)
select distinct on (q.whose, q.id) q.whose, q.id, q.about, 0, 0, 0
from unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int2[], $5::uuid[], $6::text[], $7::int8[],
    $8::int8[], $9::int8[], $10::int8[])
    as q(ord, whose, payment_id, pos, id, about, amount, n, max_amount, max_count)
where q.id is not null
order by q.whose, q.id
on conflict (merchant_id, id) do update set touched = limit_counter.touched + 1
