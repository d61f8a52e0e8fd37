-- What two people have decided about money that is no payment's: an item that is `assigned` ends,
-- with the transfer that undoes its booking. $1 uuid merchant, $2 uuid item, $3 int4 version, $4
-- text resolution, $5 text evidence, $6 text who, $7 timestamptz now, $8 uuid audit id, $9 uuid
-- journal, $10 text kind of the transfer; $11 uuid account that gets it, null: the one that it came
-- from; $12 text its type, $13 text its owner. Row: the id, if it has ended.
with booked as (
    select t.debit_id, t.credit_id, t.amount, t.currency, t.mode
    from reli.ledger_transfer t
    where t.merchant_id = $1 and t.journal_id = $2 and t.step = 1
),
moved as (
    update reli.exception_item i set status = 'resolved', resolution = $4, evidence = $5,
        resolved_by = $6, updated_at = $7, version = i.version + 1
    where i.merchant_id = $1 and i.id = $2 and i.version = $3 and i.status = 'assigned'
      and i.kind = 'unallocated' and exists (select from booked)
    returning i.merchant_id, i.id, i.mode, i.detail
),
accounts as (
    insert into reli.ledger_account (merchant_id, id, mode, type, owner, currency, status,
        created_at, updated_at)
    select m.merchant_id, $11, m.mode, $12, $13, b.currency, 'open', $7, $7
    from moved m cross join booked b
    where $11::uuid is not null
    on conflict do nothing
),
transfers as (
    insert into reli.ledger_transfer (merchant_id, journal_id, step, mode, kind, debit_id,
        credit_id, amount, currency, state, payment_id, created_at)
    select m.merchant_id, $9, 1, m.mode, $10, b.credit_id, coalesce($11, b.debit_id), b.amount,
        b.currency, 'posted', m.id, $7
    from moved m cross join booked b
),
audits as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, before, after,
        detail, created_at)
    select m.merchant_id, m.id, $8, m.mode, 'exception.resolved', $6, 'assigned', 'resolved', $4, $7
    from moved m
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select m.merchant_id, $8, array[$8], array[m.id], '{0}', '{0}', array[$8], '{null}',
        array[$9], '{1}'
    from moved m
)
select m.id from moved m
