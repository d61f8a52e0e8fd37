-- Audit rows that have no position and do not wait for one. Rows: merchant, subject, row id.
with placed as (
    select s.merchant_id, i.row_id
    from reli.log_position s cross join lateral unnest(s.row_ids) as i(row_id)
    where s.kind = 2
    union all
    select n.merchant_id, i.row_id
    from reli.log_new n cross join lateral unnest(n.audit_a || n.audit_b) as i(row_id)
    where i.row_id is not null
)
select l.merchant_id, l.subject_id, l.id
from reli.audit_log l
where not exists (select from placed p where p.merchant_id = l.merchant_id and p.row_id = l.id)
limit 20
