-- What is sealed in one place, a page of it. $1 text place, behind $2 uuid merchant and $3 uuid
-- row; $4 int8 limit, $5 bytea how a text begins that the newest key has sealed.
-- Columns: merchant, row, sealed text; null where nothing has to be done.
select p.merchant_id, p.id, case when substring(p.sealed from 1 for 5) <> $5 then p.sealed end
from (
    (select t.merchant_id, t.merchant_id as id, t.webhook_secret as sealed from reli.merchant t
     where $1 = 'merchant.webhook_secret' and t.merchant_id > $2
     order by t.merchant_id limit $4)
    union all
    (select t.merchant_id, t.id as id, t.secrets as sealed from reli.webhook_endpoint t
     where $1 = 'webhook_endpoint.secrets' and (t.merchant_id, t.id) > ($2, $3)
     order by t.merchant_id, t.id limit $4)
    union all
    (select t.merchant_id, t.id as id, t.settings as sealed from reli.provider_account t
     where $1 = 'provider_account.settings' and (t.merchant_id, t.id) > ($2, $3)
     order by t.merchant_id, t.id limit $4)
    union all
    (select t.merchant_id, t.id as id, t.person as sealed from reli.account_user t
     where $1 = 'account_user.person' and (t.merchant_id, t.id) > ($2, $3)
     order by t.merchant_id, t.id limit $4)
    union all
    (select t.merchant_id, t.id as id, t.totp as sealed from reli.account_user t
     where $1 = 'account_user.totp' and (t.merchant_id, t.id) > ($2, $3)
     order by t.merchant_id, t.id limit $4)
    union all
    (select t.merchant_id, t.id as id, t.payer as sealed from reli.exception_item t
     where $1 = 'exception_item.payer' and (t.merchant_id, t.id) > ($2, $3)
     order by t.merchant_id, t.id limit $4)
    union all
    (select t.merchant_id, t.id as id, t.pii as sealed from reli.payment t
     where $1 = 'payment.pii' and (t.merchant_id, t.id) > ($2, $3)
     order by t.merchant_id, t.id limit $4)
    union all
    (select t.merchant_id, t.id as id, t.pii as sealed from reli.payout t
     where $1 = 'payout.pii' and (t.merchant_id, t.id) > ($2, $3)
     order by t.merchant_id, t.id limit $4)
) p
order by p.merchant_id, p.id
