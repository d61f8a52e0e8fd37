-- A new data key, and the job that seals under it what is sealed under older ones. $1 int4 number,
-- $2 bytea wrapped, $3 timestamptz now, $4 timestamptz when the job begins.
-- Row: the number; none if another rotation was faster.
with made as (
    insert into reli.installation_key (merchant_id, kind, number, wrapped, created_at)
    values ('00000000-0000-0000-0000-000000000000', 'data', $1, $2, $3)
    on conflict do nothing
    returning number
),
job as (
    insert into reli.job (merchant_id, kind, subject, n, bucket, run_at, lease_until)
    select '00000000-0000-0000-0000-000000000000', 'reseal',
        '00000000-0000-0000-0000-000000000000', m.number, 0, $4, $3
    from made m
)
select number from made
