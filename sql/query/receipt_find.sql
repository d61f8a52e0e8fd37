-- The payment that a customer has named by what he typed, of an account. $1 uuid merchant, $2 text
-- mode, $3 text pay_code or null, $4 text reference_no, $5 uuid account, $6 bool: other merchants
-- use the account as well. Rows: merchant, payment; at most two, of which neither is meant.
select r.merchant_id, r.payment_id
from reli.merchant m
join reli.reference_owner r on r.merchant_id = m.merchant_id and r.mode = $2
    and r.reference in ($3, $4)
join reli.payment p on p.merchant_id = r.merchant_id and p.id = r.payment_id
    and p.account_id = $5 and (p.pay_code = $3 or p.reference_no = $4)
where m.merchant_id = $1 or $6
limit 2
