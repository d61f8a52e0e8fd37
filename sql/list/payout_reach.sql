-- How far a page of payouts with filters looks. $1 uuid merchant, $2 uuid from which id on, $3
-- uuid before which, $4 int8 rows. Columns: the first two of payout_list.
select p.merchant_id, p.id from reli.payout p
where p.merchant_id = $1 and p.id >= $2 and p.id < $3
order by p.id desc
offset $4 - 1 limit 1
