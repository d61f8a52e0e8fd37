-- Books money that is no payment's, and ends the callback that brought the news, in one unit. A
-- receipt that is known already (a payment's, or booked before) is counted: only the callback ends.
-- $1 uuid merchant, $2 uuid id of the money, $3 text mode, $4 text provider, $5 text receipt, $6
-- int8 amount, $7 text currency, $8 text detail, $9 bytea payer or null, $10 timestamptz now, $11
-- uuid audit id; $12 uuid debit account, $13 text its owner, $14 uuid credit account, $15 text its
-- owner; $16 uuid subject of the exception; of the callback $17 uuid merchant, $18 uuid subject,
-- $19 bytea dedupe key, $20 int4 n of the job; $21 bytea what the payer is found by, or null.
-- Row: bool, whether it was new.
with claimed as (
    insert into reli.receipt (merchant_id, mode, provider, receipt, payment_id, created_at)
    values ($1, $3, $4, $5, $2, $10)
    on conflict do nothing
    returning merchant_id
),
accounts as (
    insert into reli.ledger_account (merchant_id, id, mode, type, owner, currency, status,
        created_at, updated_at)
    select c.merchant_id, a.id, $3, a.type, a.owner, $7, 'open', $10, $10
    from claimed c
    cross join (values ($12::uuid, 'provider_receivable', $13::text),
                       ($14::uuid, 'unallocated', $15::text)) as a(id, type, owner)
    order by a.id
    on conflict do nothing
),
transfers as (
    insert into reli.ledger_transfer (merchant_id, journal_id, step, mode, kind, debit_id,
        credit_id, amount, currency, state, payment_id, created_at)
    select c.merchant_id, $2, 1, $3, 'payment_unallocated', $12, $14, $6, $7, 'posted', $2, $10
    from claimed c
),
items as (
    insert into reli.exception_item (merchant_id, id, mode, kind, subject_id, amount, currency,
        detail, receipt, payer, payer_key, status, created_at, updated_at)
    select c.merchant_id, $2, $3, 'unallocated', $16, $6, $7, $8, $5, $9, $21, 'open', $10, $10
    from claimed c
),
audits as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, after, detail,
        created_at)
    select c.merchant_id, $2, $11, $3, 'receipt.unallocated', 'provider', 'open', $8, $10
    from claimed c
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select c.merchant_id, $11, array[$11], array[$2], '{0}', '{0}', array[$11], '{null}',
        array[$2], '{1}'
    from claimed c
),
closed as (
    update reli.provider_event set state = 'processed',
        reason = case when exists (select from claimed) then 'unallocated' else 'known' end,
        payment_id = $16, updated_at = $10, version = version + 1
    where merchant_id = $17 and subject_id = $18 and dedupe_key = $19
),
over as (
    delete from reli.job where merchant_id = $17 and kind = 'inbound' and subject = $18 and n = $20
)
select exists (select from claimed)
