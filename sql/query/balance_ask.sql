-- Who may ask what an account has: one at a time, and not again shortly after an answer. $1 uuid
-- merchant, $2 uuid account, $3 timestamptz now, $4 timestamptz: an answer before it is old, $5
-- timestamptz: a question before it is lost. Columns: state; a row if it is the caller's turn.
insert into reli.provider_balance as b (merchant_id, account_id, state, asked_at)
values ($1, $2, 'pending', $3)
on conflict (merchant_id, account_id) do update set state = 'pending', ref = null, detail = null,
    asked_at = $3
where (b.state <> 'pending' and coalesce(b.told_at, b.asked_at) < $4)
   or (b.state = 'pending' and b.asked_at < $5)
returning state
