-- What a merchant could pay out: what a guarded account has left and how often something was
-- brought into it, and what is pending, as of the last commit. $1 uuid merchant, $2 uuid guarded
-- account, $3 uuid account of what is pending. Row: int8 left, int4 version (0: nothing was ever
-- brought), int8 pending.
with fresh as (
    select coalesce(sum(case when t.credit_id = $3 then t.amount else -t.amount end), 0)::int8
        as amount
    from reli.log_new n
    cross join lateral unnest(n.journals, n.steps) as i(journal_id, steps)
    join reli.ledger_transfer t on t.merchant_id = $1 and t.journal_id = i.journal_id
        and t.step between 1 and i.steps
    where n.merchant_id = $1 and t.state = 'posted' and $3 in (t.debit_id, t.credit_id)
)
select coalesce((select g.balance from reli.ledger_guarded g
                 where g.merchant_id = $1 and g.account_id = $2), 0)::int8,
    coalesce((select g.version from reli.ledger_guarded g
              where g.merchant_id = $1 and g.account_id = $2), 0)::int4,
    (select f.amount from fresh f)
        - coalesce((select b.balance from reli.ledger_balance b
                    where b.merchant_id = $1 and b.account_id = $3), 0)::int8
