-- $1 uuid merchant, $2 text name, $3 text country, $4 bytea sealed webhook secret, $5 timestamptz now.
insert into reli.merchant (merchant_id, name, country, status, webhook_secret, created_at, updated_at)
values ($1, $2, $3, 'active', $4, $5, $5)
returning merchant_id
