-- An endpoint, in a slot that was free a moment ago: at most 16 a merchant and mode. $1 uuid
-- merchant, $2 uuid id, $3 text mode, $4 text url, $5 text events, $6 text description, $7 bytea
-- secrets, $8 timestamptz now, $9 bool ordered, $10 int4 slot. Row: the id if the slot was free.
insert into reli.webhook_endpoint (merchant_id, id, mode, url, events, description, status, secrets,
    created_at, updated_at, ordered, slot)
values ($1, $2, $3, $4, $5, $6, 'enabled', $7, $8, $8, $9, $10::int4)
on conflict (merchant_id, mode, slot) do nothing
returning id
