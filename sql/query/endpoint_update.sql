-- An endpoint as it shall be, with the audit row. $1 uuid merchant, $2 uuid endpoint, $3 text mode;
-- null leaves as it is: $4 url, $5 events, $6 description, $7 status, $8 bytea secrets, $10 text
-- ordered; $9 timestamptz now; $11 bytea the secrets that $8 was made of, null without; $12 uuid
-- audit id, $13 text action, $14 text actor. Row: the id if it is there and has those.
with changed as (
    update reli.webhook_endpoint w set url = coalesce($4::text, w.url),
        events = coalesce($5::text, w.events),
        description = coalesce($6::text, w.description), status = coalesce($7::text, w.status),
        status_reason = case when $7::text is null then w.status_reason
                             when $7 = 'disabled' then 'manual' end,
        failing_since = case when $7 = 'enabled' then null else w.failing_since end,
        secrets = coalesce($8::bytea, w.secrets), ordered = coalesce($10::text::bool, w.ordered),
        updated_at = $9, version = w.version + 1
    where w.merchant_id = $1 and w.id = $2 and w.mode = $3
      and ($11::bytea is null or w.secrets = $11)
    returning w.id
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, $2, $12, $3, $13, $14, null, $9 from changed
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $12, array[$12], array[$2], '{0}', '{0}', array[$12], '{null}',
        '{null}', '{0}'
    from changed
)
select id from changed
