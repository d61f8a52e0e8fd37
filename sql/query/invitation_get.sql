-- An invitation that is open. $1 uuid merchant, $2 uuid user, $3 bytea HMAC of the token, $4
-- timestamptz now. Row: the role, the person who invites.
select ms.role, i.inviter
from reli.invitation i
join reli.membership ms on ms.merchant_id = i.merchant_id and ms.user_id = i.user_id
    and ms.status = 'invited'
where i.merchant_id = $1 and i.user_id = $2 and i.token_hash = $3 and i.expires_at > $4
