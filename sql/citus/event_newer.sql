-- As sql/query/event_newer.sql: Citus wants a join, and mixes up the columns of arrays side by
-- side.
select distinct e.merchant_id, e.subject_id
from (
    select unnest($1::text::uuid[]) as merchant_id, unnest($2::text::uuid[]) as payment_id,
        unnest($3::text::int4[]) as seq
) c
join reli.event e on e.merchant_id = c.merchant_id and e.subject_id = c.payment_id
    and e.seq > c.seq
