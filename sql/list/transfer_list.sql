-- Ledger transfers, newest first. $1 uuid merchant, $2 text mode; $3 to $8 the part, by journal and
-- step. Columns: journal, step, kind, debit, credit, amount, currency, state, payment, created_at.
select t.journal_id, t.step, t.kind, t.debit_id, t.credit_id, t.amount, t.currency, t.state,
    t.payment_id, t.created_at
from reli.ledger_transfer t
where t.merchant_id = $1 and t.mode = $2
  and (t.journal_id, t.step) >= ($3::uuid, $4::int2)
  and (t.journal_id, t.step) < ($5::uuid, $6::int2)
order by t.journal_id desc, t.step desc
limit $7 offset $8
