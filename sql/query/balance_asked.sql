-- What the provider said to the question itself: its id, or why there will be no answer. $1 uuid
-- merchant, $2 uuid account, $3 timestamptz when it was asked, $4 text id or null, $5 text detail
-- or null.
update reli.provider_balance set ref = $4, detail = $5,
    state = case when $4 is null then 'failed' else state end
where merchant_id = $1 and account_id = $2 and state = 'pending' and asked_at = $3
