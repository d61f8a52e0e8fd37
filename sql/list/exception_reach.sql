-- How far a page of the operators' queue with filters looks. $1 uuid merchant, $2 uuid from which
-- id on, $3 uuid before which, $4 int8 rows. Columns: the first of exception_list.
select x.id from reli.exception_item x
where x.merchant_id = $1 and x.id >= $2 and x.id < $3
order by x.id desc
offset $4 - 1 limit 1
