-- The first of two replicas wins. $1 text kind, $2 int4 number, $3 bytea wrapped, $4 timestamptz
-- now.
insert into reli.installation_key (merchant_id, kind, number, wrapped, created_at)
values ('00000000-0000-0000-0000-000000000000', $1, $2, $3, $4)
on conflict do nothing
