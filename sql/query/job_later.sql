-- Gives a job back for later. $1 uuid merchant, $2 text kind, $3 uuid subject, $4 int4 n, $5
-- timestamptz run_at, $6 uuid owner that holds it.
update reli.job set run_at = $5, lease_until = $5
where merchant_id = $1 and kind = $2 and subject = $3 and n = $4 and lease_owner = $6
