-- The answer, once. $1 uuid merchant, $2 uuid account, $3 text id of the question that it names, $4
-- text state, $5 json balances or null, $6 text detail or null, $7 timestamptz now.
update reli.provider_balance set state = $4, balances = coalesce($5::jsonb, balances), detail = $6,
    told_at = $7
where merchant_id = $1 and account_id = $2 and state = 'pending' and coalesce(ref, $3) = $3
