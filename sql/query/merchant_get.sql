-- $1 uuid merchant. Columns: name, country, status, webhook_secret.
select name, country, status, webhook_secret from reli.merchant where merchant_id = $1
