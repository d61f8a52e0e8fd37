-- How much each data key has sealed. Reads everything. Columns: number, place, int8 texts.
select get_byte(u.by, 0) << 24 | get_byte(u.by, 1) << 16 | get_byte(u.by, 2) << 8
    | get_byte(u.by, 3) as number, u.place, count(*)
from (
    select 'merchant.webhook_secret' as place, substring(t.webhook_secret from 2 for 4) as by
    from reli.merchant t where length(t.webhook_secret) > 5
    union all
    select 'webhook_endpoint.secrets' as place, substring(t.secrets from 2 for 4) as by
    from reli.webhook_endpoint t where length(t.secrets) > 5
    union all
    select 'provider_account.settings' as place, substring(t.settings from 2 for 4) as by
    from reli.provider_account t where length(t.settings) > 5
    union all
    select 'account_user.person' as place, substring(t.person from 2 for 4) as by
    from reli.account_user t where length(t.person) > 5
    union all
    select 'account_user.totp' as place, substring(t.totp from 2 for 4) as by
    from reli.account_user t where length(t.totp) > 5
    union all
    select 'exception_item.payer' as place, substring(t.payer from 2 for 4) as by
    from reli.exception_item t where length(t.payer) > 5
    union all
    select 'payment.pii' as place, substring(t.pii from 2 for 4) as by
    from reli.payment t where length(t.pii) > 5
    union all
    select 'payout.pii' as place, substring(t.pii from 2 for 4) as by
    from reli.payout t where length(t.pii) > 5
    union all
    select 'provider_call.body' as place, substring(t.body from 2 for 4) as by
    from reli.provider_call t where length(t.body) > 5
    union all
    select 'provider_event.raw' as place, substring(t.raw from 2 for 4) as by
    from reli.provider_event t where length(t.raw) > 5
    union all
    select 'delivery_attempt.answer' as place, substring(t.answer from 2 for 4) as by
    from reli.delivery_attempt t where length(t.answer) > 5
) u
group by u.by, u.place
order by u.by, u.place
