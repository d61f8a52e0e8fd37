-- Ledger transfers of one payment, its own journal and those that bear other names, newest first.
-- $1 uuid merchant, $2 text mode, $3 uuid payment; $4 to $9 the part and columns as in
-- transfer_list.
select t.journal_id, t.step, t.kind, t.debit_id, t.credit_id, t.amount, t.currency, t.state,
    t.payment_id, t.created_at
from (
    select * from reli.ledger_transfer
    where merchant_id = $1 and journal_id = $3 and payment_id = $3
    union all
    select * from reli.ledger_transfer
    where merchant_id = $1 and payment_id = $3 and journal_id <> payment_id
) t
where t.mode = $2
  and (t.journal_id, t.step) >= ($4::uuid, $5::int2)
  and (t.journal_id, t.step) < ($6::uuid, $7::int2)
order by t.journal_id desc, t.step desc
limit $8 offset $9
