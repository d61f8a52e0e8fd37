-- Begins to erase a person: the customer, and those who are known by nothing but a number or
-- address of his, lose what they are found by; a job each blanks their payments; payouts to his
-- numbers are blanked at once. Nothing happens while money is on its way. $1 uuid merchant, $2 text
-- mode, $3 uuid customer, $4 timestamptz now, $5 int2 bucket of the jobs, $6 uuid audit id, $7 text
-- actor.
-- Row: bool he was there and not erased, bool money is on its way.
with him as (
    select c.id, c.key from reli.customer c
    where c.merchant_id = $1 and c.mode = $2 and c.id = $3 and c.status = 'active'
),
keys as (
    select him.id, him.key from him
    union
    select k.id, k.key from him
    join reli.customer_handle h on h.merchant_id = $1 and h.mode = $2 and h.key = him.key
    join reli.customer k on k.merchant_id = $1 and k.mode = $2 and k.key = h.handle
),
words as (
    select k.key as word from keys k
    union
    select h.handle from keys k
    join reli.customer_handle h on h.merchant_id = $1 and h.mode = $2 and h.key = k.key
),
payments as (
    select p.id, p.created_at, p.refund_reserved > 0 or p.status in ('pending', 'processing',
        'requires_action', 'in_reconciliation') as is_open
    from keys k
    join reli.payment p on p.merchant_id = $1 and p.customer_key = k.key
),
payouts as ( -- to a number of his
    select o.id, o.status in ('pending_approval', 'queued', 'parked', 'processing',
        'in_reconciliation') as is_open
    from reli.payout o
    where o.merchant_id = $1 and o.mode = $2 and o.payee_key in (select word from words)
),
waiting as (
    select p.id from payments p where p.is_open
    union all
    select o.id from payouts o where o.is_open
    union all
    select x.id from reli.exception_item x
    where x.merchant_id = $1 and x.mode = $2 and x.status <> 'resolved' and x.amount is not null
      and (x.payer_key in (select word from words) or x.subject_id in (select id from payments))
),
gone as (
    update reli.customer c set status = 'erased', key = null, external_id = null,
        erase_key = c.key, erased_at = $4, updated_at = $4, version = c.version + 1,
        erase_until = greatest($4, (select max(p.created_at) from payments p))
    from keys k
    where c.merchant_id = $1 and c.id = k.id and c.status = 'active'
      and not exists (select from waiting)
    returning c.id
),
handles as (
    delete from reli.customer_handle h using keys k
    where h.merchant_id = $1 and h.mode = $2 and h.key = k.key and exists (select from gone)
),
payers as (
    update reli.exception_item x set payer = null, payer_key = null, updated_at = $4,
        version = x.version + 1
    where x.merchant_id = $1 and x.mode = $2 and x.payer_key in (select word from words)
      and exists (select from gone)
    returning x.id
),
news as (
    update reli.provider_event v set raw = '' from payers
    where v.merchant_id in ($1, '00000000-0000-0000-0000-000000000000')
      and v.payment_id = payers.id and v.kind = 'confirmation' and v.raw <> ''
),
payees as (
    update reli.payout o set pii = null, payee_key = null, updated_at = $4
    from payouts p
    where o.merchant_id = $1 and o.id = p.id and exists (select from gone)
    returning o.id
),
payout_calls as (
    update reli.provider_call c set body = '' from payees p
    where c.merchant_id = $1 and c.payment_id = p.id and c.body <> ''
),
payout_callbacks as (
    update reli.provider_event v set raw = '' from payees p
    where v.merchant_id = $1
      and v.subject_id between p.id and (left(p.id::text, 35) || 'f')::uuid
      and v.state not in ('received', 'retry') and v.raw <> ''
),
payout_answers as ( -- which may repeat what was delivered
    update reli.delivery_attempt t set answer = null
    from payees p
    join reli.delivery_owner o on o.merchant_id = $1 and o.payment_id = p.id
    where t.merchant_id = $1 and t.delivery_id = o.delivery_id and t.answer is not null
),
audit as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, before, after,
        created_at)
    select $1, $3, $6, $2, 'customer.erased', $7, 'active', 'erased', $4
    where exists (select from gone)
),
log as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $6, array[$6], array[$3], '{0}', '{0}', array[$6], '{null}', '{null}', '{0}'
    where exists (select from gone)
),
jobs as (
    insert into reli.job (merchant_id, kind, subject, n, bucket, run_at, lease_until)
    select $1, 'erasure', g.id, 0, $5, $4, $4 from gone g
)
select exists (select from him), exists (select from waiting)
