-- What is over: sessions a month after their end, counters of failed logins a day after the last.
-- $1 timestamptz now. Row: how many sessions went.
with sessions as (
    delete from reli.session
    where merchant_id = '00000000-0000-0000-0000-000000000000'
      and least(ends_at, coalesce(revoked_at, ends_at)) < $1 - interval '30 days'
    returning id
),
guards as (
    delete from reli.login_guard
    where merchant_id = '00000000-0000-0000-0000-000000000000'
      and updated_at < $1 - interval '1 day'
      and (locked_until is null or locked_until < $1)
)
select count(*) from sessions
