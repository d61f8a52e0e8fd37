-- A merchant's next state, by compare-and-set. $1 uuid merchant, $2 text from, $3 text to, $4
-- timestamptz now, $5 uuid audit id, $6 text actor. Row: the id, if it was moved.
with moved as (
    update reli.merchant m set status = $3, updated_at = $4, version = m.version + 1
    where m.merchant_id = $1 and m.status = $2
    returning m.merchant_id
),
audited as materialized (
    select reli.audit_put($1, $1, $5, 'live', 'merchant.' || $3, $6, $2, $3, null, $4)
    from moved
)
select merchant_id from moved left join audited on true
