-- How far a page of deliveries with filters looks. $1 uuid merchant, $2 uuid from which id on, $3
-- uuid before which, $4 int8 rows. Columns: the first of delivery_list.
select d.id from reli.webhook_delivery d
where d.merchant_id = $1 and d.id >= $2 and d.id < $3
order by d.id desc
offset $4 - 1 limit 1
