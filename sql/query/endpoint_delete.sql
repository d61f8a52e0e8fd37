-- $1 uuid merchant, $2 uuid endpoint, $3 text mode. Row: the id if it was there.
delete from reli.webhook_endpoint where merchant_id = $1 and id = $2 and mode = $3 returning id
