-- Partitions of one table ahead of time: how many were made; and once none lacks any, in a
-- transaction without their locks, the next idempotency slot: whether it was emptied.
-- $1 timestamptz now, $2 int4 period.
select p.n, case when p.n = 0 then reli.idempotency_turn($2) else false end
from (select reli.partitions_ensure($1) as n) p
