-- Takes texts that were sealed anew, as long as they are as they were read, and notes how far the
-- job has come. $1 text place, $2 json [{"merchant_id", "id", "old", "fresh"}], texts in base64; $3
-- int4 number of the key, $4 text how far. Row: int8 how many were taken.
with u as materialized (
    select r.merchant_id, r.id, decode(r.old, 'base64') as old, decode(r.fresh, 'base64') as fresh
    from json_to_recordset($2) as r(merchant_id uuid, id uuid, old text, fresh text)
),
merchant_webhook_secret as (
    update reli.merchant t set webhook_secret = u.fresh from u
    where $1 = 'merchant.webhook_secret' and t.merchant_id = u.merchant_id and t.merchant_id = u.id
      and t.webhook_secret = u.old
    returning 1
),
webhook_endpoint_secrets as (
    update reli.webhook_endpoint t set secrets = u.fresh from u
    where $1 = 'webhook_endpoint.secrets' and t.merchant_id = u.merchant_id and t.id = u.id
      and t.secrets = u.old
    returning 1
),
provider_account_settings as (
    update reli.provider_account t set settings = u.fresh from u
    where $1 = 'provider_account.settings' and t.merchant_id = u.merchant_id and t.id = u.id
      and t.settings = u.old
    returning 1
),
account_user_person as (
    update reli.account_user t set person = u.fresh from u
    where $1 = 'account_user.person' and t.merchant_id = u.merchant_id and t.id = u.id
      and t.person = u.old
    returning 1
),
account_user_totp as (
    update reli.account_user t set totp = u.fresh from u
    where $1 = 'account_user.totp' and t.merchant_id = u.merchant_id and t.id = u.id
      and t.totp = u.old
    returning 1
),
exception_item_payer as (
    update reli.exception_item t set payer = u.fresh from u
    where $1 = 'exception_item.payer' and t.merchant_id = u.merchant_id and t.id = u.id
      and t.payer = u.old
    returning 1
),
payment_pii as (
    update reli.payment t set pii = u.fresh from u
    where $1 = 'payment.pii' and t.merchant_id = u.merchant_id and t.id = u.id
      and t.pii = u.old
    returning 1
),
payout_pii as (
    update reli.payout t set pii = u.fresh from u
    where $1 = 'payout.pii' and t.merchant_id = u.merchant_id and t.id = u.id
      and t.pii = u.old
    returning 1
),
noted as (
    update reli.installation_key set progress = $4
    where merchant_id = '00000000-0000-0000-0000-000000000000' and kind = 'data' and number = $3
)
select (select count(*) from merchant_webhook_secret)
    + (select count(*) from webhook_endpoint_secrets)
    + (select count(*) from provider_account_settings)
    + (select count(*) from account_user_person)
    + (select count(*) from account_user_totp)
    + (select count(*) from exception_item_payer)
    + (select count(*) from payment_pii)
    + (select count(*) from payout_pii)
