-- How far a page with filters looks, so that it ends if nothing matches: the id of the row that
-- is $7 rows away from the cursor; none if there are not so many. $1 uuid merchant, $2 uuid first
-- id or null, $3 uuid id behind the last or null, $4 uuid cursor or null, $5 bool older than the
-- cursor, $6 bool newer, $7 int8 rows.
(
    select p.id from reli.payment p
    where $5 and p.merchant_id = $1
      and p.id >= coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
      and p.id < coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
      and p.id < coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    order by p.id desc
    offset $7 - 1 limit 1
)
union all
(
    select p.id from reli.payment p
    where $6 and p.merchant_id = $1
      and p.id >= coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
      and p.id < coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
      and p.id > coalesce($4::uuid, '00000000-0000-0000-0000-000000000000')
    order by p.id
    offset $7 - 1 limit 1
)
