-- What is known of an account's balance. $1 uuid merchant, $2 uuid account. Columns: state,
-- balances, detail, asked_at, told_at.
select state, balances, detail, asked_at, told_at
from reli.provider_balance where merchant_id = $1 and account_id = $2
