-- Ledger transfers of one payment, its own journal and those that bear other names. $1 uuid
-- merchant, $2 text mode, $3 to $5 and columns as in transfer_list, $6 uuid payment.
select t.journal_id, t.step, t.kind, t.debit_id, t.credit_id, t.amount, t.currency, t.state,
    t.payment_id, t.created_at
from (
    select * from reli.ledger_transfer
    where merchant_id = $1 and journal_id = $6 and payment_id = $6
    union all
    select * from reli.ledger_transfer
    where merchant_id = $1 and payment_id = $6 and journal_id <> payment_id
) t
where t.mode = $2
  and t.journal_id <= coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  and (t.journal_id is distinct from $3 or t.step > $4::int4)
order by t.journal_id desc, t.step
limit $5
