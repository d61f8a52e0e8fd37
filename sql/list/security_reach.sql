-- How far a page of security events with filters looks. $1 uuid merchant, $2 uuid from which id on,
-- $3 uuid before which, $4 int8 rows. Columns: the first of security_list.
select e.id from reli.security_event e
where e.merchant_id = $1 and e.id >= $2 and e.id < $3
order by e.id desc
offset $4 - 1 limit 1
