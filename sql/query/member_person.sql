-- An active member of a merchant by his e-mail address. $1 uuid merchant, $2 bytea HMAC of the
-- address. Row: user, stands_for.
select u.id, u.stands_for
from reli.user_lookup l
join reli.account_user u on u.merchant_id = '00000000-0000-0000-0000-000000000000'
    and u.id = l.user_id and u.status = 'active'
join reli.membership ms on ms.merchant_id = $1 and ms.user_id = u.id and ms.status = 'active'
where l.kind = 'email' and l.hash = $2
