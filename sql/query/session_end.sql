-- Logs out: one session of a person, or all. $1 uuid user, $2 uuid session, null: all, $3
-- timestamptz now, $4 text why, $5 uuid audit id, $6 uuid merchant of the audit row, $7 text
-- actor. Row: how many ended.
with ended as (
    update reli.session s set revoked_at = $3, revoked_for = $4
    where s.merchant_id = '00000000-0000-0000-0000-000000000000' and s.user_id = $1
      and ($2::uuid is null or s.id = $2) and s.revoked_at is null
    returning s.id
),
n as (select count(*) as n from ended having count(*) > 0),
audited as materialized (
    select reli.audit_put($6, $1, $5, 'live', 'session.ended', $7, null, null, $4 || ', ' || n.n,
        $3)
    from n
)
select (select count(*) from ended) from (values (0)) one left join audited on true
