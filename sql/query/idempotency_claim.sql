-- Takes a key, in one slot, for what is done with a subject that is there already. $1 uuid
-- merchant, $2 text mode, $3 text key, $4 int2 slot, $5 int4 period, $6 bytea fingerprint, $7 uuid
-- subject, $8 timestamptz end of the lease, $9 timestamptz now. Rows: one; none: somebody has it.
insert into reli.idempotency (merchant_id, mode, key, slot, period, fingerprint, payment_id,
    lease_until, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict do nothing
returning slot
