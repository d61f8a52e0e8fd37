-- Takes a data key away that nothing is sealed with: not the newest, and not before the newest has
-- been in use for a while. $1 int4 number, $2 bytea how a text begins that it has sealed, $3
-- timestamptz when the newest must have been there. Row: the number if it is gone.
delete from reli.installation_key k
where k.merchant_id = '00000000-0000-0000-0000-000000000000' and k.kind = 'data' and k.number = $1
  and exists (select 1 from reli.installation_key n
              where n.merchant_id = k.merchant_id and n.kind = 'data' and n.number > $1
                and n.created_at <= $3)
  and not exists (select 1 from reli.merchant t
                  where substring(t.webhook_secret from 1 for 5) = $2)
  and not exists (select 1 from reli.webhook_endpoint t
                  where substring(t.secrets from 1 for 5) = $2)
  and not exists (select 1 from reli.provider_account t
                  where substring(t.settings from 1 for 5) = $2)
  and not exists (select 1 from reli.account_user t
                  where substring(t.person from 1 for 5) = $2)
  and not exists (select 1 from reli.account_user t
                  where substring(t.totp from 1 for 5) = $2)
  and not exists (select 1 from reli.exception_item t
                  where substring(t.payer from 1 for 5) = $2)
  and not exists (select 1 from reli.payment t
                  where substring(t.pii from 1 for 5) = $2)
  and not exists (select 1 from reli.payout t
                  where substring(t.pii from 1 for 5) = $2)
  and not exists (select 1 from reli.provider_call t
                  where substring(t.body from 1 for 5) = $2)
  and not exists (select 1 from reli.provider_event t
                  where substring(t.raw from 1 for 5) = $2)
  and not exists (select 1 from reli.delivery_attempt t
                  where substring(t.answer from 1 for 5) = $2)
returning k.number
