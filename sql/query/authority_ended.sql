-- Which of many sessions and API keys count no more. $1 text of an array of sessions, $2 and $3 of
-- arrays of merchants and keys, $4 timestamptz now, $5 timestamptz: a session that was not used
-- since is over. Column: the id of a session or key.
select s.id
from unnest($1::text::uuid[]) as s(id)
where not exists (
    select from reli.session x
    join reli.account_user u on u.merchant_id = x.merchant_id and u.id = x.user_id
        and u.status = 'active'
    join reli.membership ms on ms.merchant_id = x.for_merchant and ms.user_id = x.user_id
        and ms.status = 'active'
    where x.merchant_id = '00000000-0000-0000-0000-000000000000' and x.id = s.id
      and x.revoked_at is null and x.ends_at > $4 and x.last_seen_at > $5)
union all
select k.id
from unnest($2::text::uuid[], $3::text::uuid[]) as k(merchant_id, id)
where not exists (
    select from reli.api_key a
    where a.merchant_id = k.merchant_id and a.id = k.id and a.status <> 'revoked'
      and (a.expires_at is null or a.expires_at > $4))
