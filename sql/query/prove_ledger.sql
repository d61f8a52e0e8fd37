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
        sum(t.amount) filter (where t.kind in ('payment_received', 'payment_fee')) as received,
        -- given to the merchant by operators: what was received if nothing else was
        (array_agg(t.amount order by t.created_at, t.journal_id)
            filter (where t.kind = 'unallocated_kept'))[1] as kept,
        coalesce(sum(t.amount) filter (where t.kind = 'payment_fee'), 0)
            - coalesce(sum(t.amount) filter (where t.kind = 'payment_fee_reversed'), 0) as fee,
        coalesce(sum(t.amount) filter (where t.kind = 'refund_settled'), 0)
            - coalesce(sum(t.amount) filter (where t.kind = 'refund_undone'), 0) as refunded
    from reli.ledger_transfer t
    where t.state = 'posted'
    group by t.merchant_id, t.payment_id
),
payments as (
    select p.merchant_id, p.id, p.received, p.refunded, p.fee,
        case when x.received is null or p.late then 0 else p.fee_due end as fee_due,
        coalesce(x.received, case when p.received > 0 then x.kept end, 0) as posted_received,
        coalesce(x.refunded, 0) as posted_refunded, coalesce(x.fee, 0) as posted_fee
    from reli.payment p
    left join posted x on x.merchant_id = p.merchant_id and x.payment_id = p.id
),
wrong_payments as (
    select v.what, p.merchant_id, p.id, v.expected::text, v.found::text
    from payments p
    cross join lateral (values
        ('received of payment', p.received, p.posted_received),
        ('refunded of payment', p.refunded, p.posted_refunded),
        ('fee of payment', p.fee, p.posted_fee),
        ('fee due of payment', p.fee_due, p.fee)) as v(what, expected, found)
    where v.expected <> v.found
),
guarded as ( -- what has come in, less what went out or is held
    select t.merchant_id, a.id, sum(
        case when t.credit_id = a.id then t.amount
             when t.state = 'voided' then t.amount
             when t.kind = 'hold_posted' then 0 -- was held before
             else -t.amount end) as available
    from reli.ledger_account a
    join reli.ledger_transfer t on t.merchant_id = a.merchant_id
        and a.id in (t.debit_id, t.credit_id)
    where a.type = 'merchant_available'
    group by t.merchant_id, a.id
),
wrong_guarded as (
    select 'available on account' as what, coalesce(s.merchant_id, g.merchant_id) as merchant_id,
        coalesce(s.id, g.account_id) as id, coalesce(s.available, 0)::text as expected,
        coalesce(g.balance, 0)::text as found
    from guarded s
    full join reli.ledger_guarded g on g.merchant_id = s.merchant_id and g.account_id = s.id
    where coalesce(s.available, 0) <> coalesce(g.balance, 0)
),
paid_out as (
    select t.merchant_id, t.payment_id,
        sum(case t.kind when 'hold' then t.amount when 'hold_posted' then -t.amount
                        when 'hold_voided' then -t.amount else 0 end) as held,
        sum(case t.kind when 'payout_paid' then t.amount when 'payout_paid_late' then t.amount
                        when 'payout_returned' then -t.amount else 0 end) as paid
    from reli.ledger_transfer t
    group by t.merchant_id, t.payment_id
),
wrong_payouts as (
    select v.what, o.merchant_id, o.id, v.expected::text, v.found::text
    from reli.payout o
    left join paid_out x on x.merchant_id = o.merchant_id and x.payment_id = o.id
    cross join lateral (values
        ('held of payout', case when o.status in ('pending_approval', 'queued', 'parked',
            'processing', 'in_reconciliation') then o.amount else 0 end, coalesce(x.held, 0)),
        ('paid of payout', case when o.status = 'completed' then o.amount else 0 end,
            coalesce(x.paid, 0))) as v(what, expected, found)
    where v.expected <> v.found
)
select w.what, w.merchant_id, w.id, w.expected, w.found
from (select * from wrong_balances union all select * from lost_accounts
      union all select * from wrong_payments union all select * from wrong_guarded
      union all select * from wrong_payouts) w
order by w.merchant_id, w.id
limit 20
