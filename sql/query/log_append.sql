-- Gives positions to what waits, and rolls its transfers into the balances: all of it or nothing.
-- Two replicas that do it at once meet at the primary key: one of them fails and finds nothing to
-- do. Within one batch a subject's rows keep their order. Each journal is looked up by itself
-- (lateral, offset 0), so that the merchant's other transfers are not read, whatever the statistics
-- say. $1 uuid merchant, $2 int8 limit, $3 timestamptz now.
-- Row: int8 how many rows were taken, int8 how many audit rows got positions.
with taken as (
    delete from reli.log_new d
    where d.merchant_id = $1
      and d.id in (select w.id from reli.log_new w where w.merchant_id = $1 order by w.id limit $2)
    returning d.*
),
n as (
    select i.*
    from taken t
    cross join lateral unnest(t.ops, t.subjects, t.seq_from, t.seq_to, t.audit_a, t.audit_b,
        t.journals,
        t.steps) as i(op, subject_id, seq_from, seq_to, audit_a, audit_b, journal_id, steps)
),
ordered as (
    select n.*, max(n.op::text) over (partition by n.subject_id order by n.seq_to, n.op) as turn
    from n
),
events as (
    insert into reli.log_position (merchant_id, kind, position, n, subjects, seqs)
    select $1, 1,
        (select coalesce(max(p.position + p.n), 1) from reli.log_position p
         where p.merchant_id = $1 and p.kind = 1
           and p.position = (select max(q.position) from reli.log_position q
                             where q.merchant_id = $1 and q.kind = 1)),
        count(*), array_agg(o.subject_id order by o.turn, o.subject_id, s.seq),
        array_agg(s.seq order by o.turn, o.subject_id, s.seq)
    from ordered o cross join lateral generate_series(o.seq_from, o.seq_to) as s(seq)
    where o.seq_from > 0
    having count(*) > 0
),
audits as (
    insert into reli.log_position (merchant_id, kind, position, n, subjects, row_ids)
    select $1, 2,
        (select coalesce(max(p.position + p.n), 1) from reli.log_position p
         where p.merchant_id = $1 and p.kind = 2
           and p.position = (select max(q.position) from reli.log_position q
                             where q.merchant_id = $1 and q.kind = 2)),
        count(*), array_agg(o.subject_id order by o.turn, o.subject_id, a.id),
        array_agg(a.id order by o.turn, o.subject_id, a.id)
    from ordered o cross join lateral (values (o.audit_a), (o.audit_b)) as a(id)
    where a.id is not null
    having count(*) > 0
    returning log_position.n as made
),
posted as (
    select t.debit_id, t.credit_id, t.amount
    from n
    cross join lateral (
        select x.debit_id, x.credit_id, x.amount
        from reli.ledger_transfer x
        where x.merchant_id = $1 and x.journal_id = n.journal_id and x.step between 1 and n.steps
          and x.state = 'posted'
        offset 0
    ) t
    where n.journal_id is not null
),
balances as (
    insert into reli.ledger_balance as b (merchant_id, account_id, balance, n_transfers, updated_at)
    select $1, s.account_id, sum(s.amount), count(*), $3
    from (select debit_id as account_id, amount from posted
          union all select credit_id, -amount from posted) s
    group by s.account_id
    order by s.account_id
    on conflict (merchant_id, account_id) do update set balance = b.balance + excluded.balance,
        n_transfers = b.n_transfers + excluded.n_transfers, updated_at = excluded.updated_at
)
select (select count(*) from taken), coalesce((select sum(made) from audits), 0)::int8
