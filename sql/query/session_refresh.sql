-- Takes a refresh token, once: the next generation follows. $1 uuid session, $2 int4 generation of
-- the token, $3 timestamptz now, $4 timestamptz refresh until, $5 timestamptz: a session that was
-- not used since is over. Row, if it was taken: user, for_merchant, ends_at.
update reli.session s set generation = s.generation + 1, refresh_until = $4, last_seen_at = $3
where s.merchant_id = '00000000-0000-0000-0000-000000000000' and s.id = $1
  and s.generation = $2 and s.revoked_at is null and s.refresh_until > $3 and s.ends_at > $3
  and s.last_seen_at > $5
  and exists (select from reli.account_user u
              where u.merchant_id = s.merchant_id and u.id = s.user_id and u.status = 'active')
  and exists (select from reli.membership ms
              where ms.merchant_id = s.for_merchant and ms.user_id = s.user_id
                and ms.status = 'active')
returning s.user_id, s.for_merchant, s.ends_at
