-- At most 16 endpoints a merchant and mode. $1 uuid merchant, $2 uuid id, $3 text mode, $4 text
-- url, $5 text events, $6 text description, $7 bytea secrets, $8 timestamptz now, $9 bool ordered.
-- Row: the id if it was made.
insert into reli.webhook_endpoint (merchant_id, id, mode, url, events, description, status, secrets,
    created_at, updated_at, ordered)
select $1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::text, 'enabled', $7::bytea,
    $8::timestamptz, $8, $9::bool
from (select count(*) as n from reli.webhook_endpoint w
      where w.merchant_id = $1 and w.mode = $3) had
where had.n < 16
returning id
