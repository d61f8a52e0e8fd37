-- Ledger transfers, newest journal first, each in its order. $1 uuid merchant, $2 text mode; what
-- is behind $3 uuid journal (null: all) and $4 int4 step of it; $5 int8 limit. Columns: journal,
-- step, kind, debit, credit, amount, currency, state, payment, created_at.
select t.journal_id, t.step, t.kind, t.debit_id, t.credit_id, t.amount, t.currency, t.state,
    t.payment_id, t.created_at
from reli.ledger_transfer t
where t.merchant_id = $1 and t.mode = $2
  and t.journal_id <= coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  and (t.journal_id is distinct from $3 or t.step > $4::int4)
order by t.journal_id desc, t.step
limit $5
