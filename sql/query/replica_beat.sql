-- $1 uuid replica, $2 text version, $3 timestamptz started, $4 timestamptz now, $5 timestamptz:
-- older ones are forgotten. Row: how many live.
with mine as (
    insert into reli.replica (merchant_id, id, version, started_at, seen_at)
    values ('00000000-0000-0000-0000-000000000000', $1, $2, $3, $4)
    on conflict (merchant_id, id) do update set seen_at = excluded.seen_at
),
gone as (
    delete from reli.replica
    where merchant_id = '00000000-0000-0000-0000-000000000000' and seen_at < $5 and id <> $1
)
select 1 + count(*) from reli.replica
where merchant_id = '00000000-0000-0000-0000-000000000000' and seen_at >= $5 and id <> $1
