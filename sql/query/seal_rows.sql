-- Audit rows by position, for sealing and for verifying. $1 uuid merchant, $2 int8 position behind
-- which, $3 int8 last position, $4 int8 limit. Columns: position, subject, row id, mode, action,
-- actor, before, after, detail, created_at; action is null where the row is gone.
select p.at, p.subject_id, p.row_id, l.mode, l.action, l.actor, l.before, l.after, l.detail,
    l.created_at
from (
    select s.position + i.k - 1 as at, i.subject_id, i.row_id
    from reli.log_position s
    cross join lateral unnest(s.subjects, s.row_ids) with ordinality as i(subject_id, row_id, k)
    where s.merchant_id = $1 and s.kind = 2
      and s.position >= (select coalesce(max(f.position), 0) from reli.log_position f
                         where f.merchant_id = $1 and f.kind = 2 and f.position <= $2 + 1)
      and s.position <= $3
      and s.position + i.k - 1 > $2 and s.position + i.k - 1 <= $3
) p
left join reli.audit_log l on l.merchant_id = $1 and l.subject_id = p.subject_id and l.id = p.row_id
order by p.at
limit $4
