-- Merchants whose rows wait for positions. $1 int8 limit.
select distinct n.merchant_id from reli.log_new n limit $1
