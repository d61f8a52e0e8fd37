-- $1 uuid merchant, $2 int8 n, $3 int8 from, $4 int8 to, $5 bytea hash, $6 bytea mac, $7
-- timestamptz now. Row: n, if this one was first.
insert into reli.audit_seal (merchant_id, n, from_position, to_position, hash, mac, created_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing
returning n
