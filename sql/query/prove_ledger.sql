-- Recomputes the books in one snapshot. Rows: what is wrong, whose, expected, found; none if all is
-- right.
with waiting as (
    select n.merchant_id, i.journal_id, i.steps
    from reli.log_new n
    cross join lateral unnest(n.journals, n.steps) as i(journal_id, steps)
    where i.journal_id is not null
),
sides as (
    select t.merchant_id, t.debit_id as account_id, t.amount, t.currency, t.mode, t.journal_id,
        t.step
    from reli.ledger_transfer t where t.state = 'posted'
    union all
    select t.merchant_id, t.credit_id, -t.amount, t.currency, t.mode, t.journal_id, t.step
    from reli.ledger_transfer t where t.state = 'posted'
),
sums as (
    select s.merchant_id, s.account_id, sum(s.amount) as total,
        coalesce(sum(s.amount) filter (where w.journal_id is not null), 0) as fresh
    from sides s
    left join waiting w on w.merchant_id = s.merchant_id and w.journal_id = s.journal_id
        and s.step between 1 and w.steps
    group by s.merchant_id, s.account_id
),
wrong_balances as (
    select 'balance of account' as what, coalesce(s.merchant_id, b.merchant_id) as merchant_id,
        coalesce(s.account_id, b.account_id) as id, coalesce(s.total - s.fresh, 0)::text
            as expected,
        coalesce(b.balance, 0)::text as found
    from sums s
    full join reli.ledger_balance b on b.merchant_id = s.merchant_id and b.account_id = s.account_id
    where coalesce(s.total - s.fresh, 0) <> coalesce(b.balance, 0)
),
lost_accounts as (
    select 'account of transfer' as what, s.merchant_id, s.journal_id as id,
        s.currency || ' ' || s.mode as expected,
        coalesce(a.currency || ' ' || a.mode, 'no such account') as found
    from sides s
    left join reli.ledger_account a on a.merchant_id = s.merchant_id and a.id = s.account_id
    where a.id is null or a.currency <> s.currency or a.mode <> s.mode
),
posted as (
    select t.merchant_id, t.payment_id,
        sum(case t.kind when 'payment_received' then t.amount when 'payment_fee' then t.amount
                        when 'payment_received_undone' then -t.amount else 0 end) as received,
        sum(case t.kind when 'refund' then t.amount when 'refund_undone' then -t.amount
                        else 0 end) as refunded
    from reli.ledger_transfer t
    where t.state = 'posted'
    group by t.merchant_id, t.payment_id
),
wrong_payments as (
    select 'received of payment' as what, p.merchant_id, p.id, p.received::text as expected,
        coalesce(x.received, 0)::text as found
    from reli.payment p
    left join posted x on x.merchant_id = p.merchant_id and x.payment_id = p.id
    where p.received <> coalesce(x.received, 0)
    union all
    select 'refunded of payment', p.merchant_id, p.id, p.refunded::text,
        coalesce(x.refunded, 0)::text
    from reli.payment p
    left join posted x on x.merchant_id = p.merchant_id and x.payment_id = p.id
    where p.refunded <> coalesce(x.refunded, 0)
)
select w.what, w.merchant_id, w.id, w.expected, w.found
from (select * from wrong_balances union all select * from lost_accounts
      union all select * from wrong_payments) w
order by w.merchant_id, w.id
limit 20
