-- People of a merchant, the oldest accounts first. $1 uuid merchant; $2 to $5 the part. Columns:
-- user, person, role, membership's status, account's status, second factor on, locked_until,
-- last_login_at, invitation's expires_at, created_at, updated_at, stands_for.
select ms.user_id, u.person, ms.role, ms.status, u.status, u.totp_confirmed_at is not null,
    g.locked_until, u.last_login_at, i.expires_at, ms.created_at, ms.updated_at,
    u.stands_for
from reli.membership ms
join reli.account_user u on u.merchant_id = '00000000-0000-0000-0000-000000000000'
    and u.id = ms.user_id
left join reli.login_guard g on g.merchant_id = u.merchant_id and g.subject = u.email_index
left join reli.invitation i on i.merchant_id = ms.merchant_id and i.user_id = ms.user_id
where ms.merchant_id = $1 and ms.status <> 'removed'
  and ms.user_id >= $2 and ms.user_id < $3
order by ms.user_id asc
limit $4 offset $5
