-- How far a page with filters looks, so that it ends if nothing matches: the row that is $4
-- rows behind the cursor; none if there are less. $1 uuid merchant, $2 uuid of the last one's
-- subject or null, $3 bytea its dedupe key, $4 int8 rows. Columns: id, subject_id, dedupe_key.
select v.id, v.subject_id, v.dedupe_key
from reli.provider_event v
where v.merchant_id = $1
  and (v.subject_id, v.dedupe_key)
      < (coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'), coalesce($3::bytea, ''))
order by v.subject_id desc, v.dedupe_key desc
offset $4 - 1 limit 1
