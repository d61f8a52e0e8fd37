-- As sql/query/upkeep.sql, with what retention.sql leaves.
select reli.partitions_ensure($1), reli.idempotency_turn($2),
    reli.security_events_drop($1 - interval '30 days', 10000)
