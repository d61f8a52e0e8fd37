-- At most 16 endpoints a merchant and mode. $1 uuid merchant, $2 uuid id, $3 text mode, $4 text
-- url, $5 text events, $6 text description, $7 bytea secrets, $8 timestamptz now, $9 bool ordered.
-- Row: the id if it was made.
insert into reli.webhook_endpoint (merchant_id, id, mode, url, events, description, status, secrets,
    created_at, updated_at, ordered)
select $1, $2, $3, $4, $5, $6, 'enabled', $7, $8, $8, $9
where (select count(*) from reli.webhook_endpoint w where w.merchant_id = $1 and w.mode = $3) < 16
returning id
