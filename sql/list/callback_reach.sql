-- How far a page of stored callbacks with filters looks. $1 uuid merchant, $2 uuid subject and $3
-- bytea dedupe key from which on, $4 and $5 before which, $6 int8 rows. Columns: the first three of
-- callback_list.
select v.id, v.subject_id, v.dedupe_key
from reli.provider_event v
where v.merchant_id = $1
  and (v.subject_id, v.dedupe_key) >= ($2::uuid, $3::bytea)
  and (v.subject_id, v.dedupe_key) < ($4::uuid, $5::bytea)
order by v.subject_id desc, v.dedupe_key desc
offset $6 - 1 limit 1
