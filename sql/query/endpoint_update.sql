-- $1 uuid merchant, $2 uuid endpoint, $3 text mode; null leaves as it is: $4 url, $5 events, $6
-- description, $7 status, $8 bytea secrets, $10 text ordered;
-- $9 timestamptz now; $11 bytea the secrets that $8 was made of, null without. Row: the id if it is
-- there and has those.
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
