-- A session was used. $1 uuid session, $2 timestamptz now, $3 timestamptz: written only if the
-- last use that is known was before.
update reli.session set last_seen_at = $2
where merchant_id = '00000000-0000-0000-0000-000000000000' and id = $1 and last_seen_at < $3
  and revoked_at is null
