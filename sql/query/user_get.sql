-- A person by id, with the memberships that count, the oldest first. $1 uuid user. Rows: one for
-- each membership, or one without. Columns: id, status, person, password_hash, totp, second factor
-- on, version, merchant, role, its name, country, status, whether there is a membership,
-- stands_for.
select u.id, u.status, u.person, u.password_hash, u.totp, u.totp_confirmed_at is not null,
    u.version, ms.merchant_id, ms.role, m.name, m.country, m.status, ms.merchant_id is not null,
    u.stands_for
from reli.account_user u
left join (reli.user_merchant um
    join reli.membership ms on ms.merchant_id = um.merchant_id and ms.user_id = um.user_id
        and ms.status = 'active'
    left join reli.merchant m on m.merchant_id = ms.merchant_id) on um.user_id = u.id
where u.merchant_id = '00000000-0000-0000-0000-000000000000' and u.id = $1
order by ms.created_at, ms.merchant_id
limit 100
