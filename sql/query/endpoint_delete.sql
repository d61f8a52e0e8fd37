-- An endpoint goes, with the audit row. $1 uuid merchant, $2 uuid endpoint, $3 text mode, $4
-- timestamptz now, $5 uuid audit id, $6 text actor. Row: the id if it was there.
with gone as (
    delete from reli.webhook_endpoint where merchant_id = $1 and id = $2 and mode = $3
    returning id
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, $2, $5, $3, 'webhook_endpoint.deleted', $6, null, $4 from gone
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $5, array[$5], array[$2], '{0}', '{0}', array[$5], '{null}',
        '{null}', '{0}'
    from gone
)
select id from gone
