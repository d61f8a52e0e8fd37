-- The schedule that counts now. $1 uuid merchant, $2 text mode, $3 text currency.
-- Columns: version, schedule.
select version, schedule from reli.fee_schedule
where merchant_id = $1 and mode = $2 and currency = $3
order by version desc
limit 1
