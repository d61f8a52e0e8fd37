-- $1 uuid merchant, $2 text name, $3 text country, $4 bytea sealed webhook secret, $5 timestamptz
-- now, $6 int8 refunds above which need a second person, 0 none.
insert into reli.merchant (merchant_id, name, country, status, webhook_secret,
    refund_approval_above, created_at, updated_at)
values ($1, $2, $3, 'active', $4, nullif($6, 0), $5, $5)
returning merchant_id
