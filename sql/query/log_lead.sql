-- Who keeps the log: one replica at a time. $1 uuid replica, $2 timestamptz now, $3 timestamptz
-- until. A row if it is this one.
insert into reli.job as j (merchant_id, kind, subject, n, bucket, run_at, lease_owner, lease_until)
values ('00000000-0000-0000-0000-000000000000', 'upkeep', '00000000-0000-0000-0000-000000000000', 1,
    0, 'infinity', $1, $3)
on conflict (merchant_id, kind, subject, n) do update set lease_owner = $1, lease_until = $3
    where j.lease_owner = $1 or j.lease_until < $2
returning j.n
