-- Removes a job. $1 uuid merchant, $2 text kind, $3 uuid subject, $4 int4 n.
delete from reli.job where merchant_id = $1 and kind = $2 and subject = $3 and n = $4
