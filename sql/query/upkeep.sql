-- Partitions ahead of time, and the next idempotency slot. $1 timestamptz now, $2 int4 period.
select reli.partitions_ensure($1), reli.idempotency_turn($2)
