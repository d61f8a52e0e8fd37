-- How far a page of payments with filters looks. $1 uuid merchant, $2 uuid from which id on, $3
-- uuid before which, $4 int8 rows. Columns: the first two of payment_list.
select p.merchant_id, p.id from reli.payment p
where p.merchant_id = $1 and p.id >= $2 and p.id < $3
order by p.id desc
offset $4 - 1 limit 1
