-- Balances: what is rolled up and what still waits, seen in one snapshot. $1 uuid merchant, $2 text
-- mode.
-- Columns: account id, type, owner, currency, debits minus credits.
with waiting as (
    select t.debit_id, t.credit_id, t.amount
    from reli.log_new n
    cross join lateral unnest(n.journals, n.steps) as i(journal_id, steps)
    join reli.ledger_transfer t on t.merchant_id = n.merchant_id and t.journal_id = i.journal_id
        and t.step between 1 and i.steps
    where n.merchant_id = $1 and i.journal_id is not null and t.state = 'posted'
)
select a.id, a.type, a.owner, a.currency,
    (coalesce(b.balance, 0)
     + coalesce((select sum(w.amount) from waiting w where w.debit_id = a.id), 0)
     - coalesce((select sum(w.amount) from waiting w where w.credit_id = a.id), 0))::int8
from reli.ledger_account a
left join reli.ledger_balance b on b.merchant_id = a.merchant_id and b.account_id = a.id
where a.merchant_id = $1 and a.mode = $2
order by a.type, a.currency, a.id
limit 1000
