-- Blanks what some payments of an erased customer say of him: their sealed column, what was said to
-- providers and what they sent, what merchants' servers answered, payers of what was left over. A
-- payment about which a callback is still to be processed is left for later; one that he has made
-- since is somebody else's. $1 uuid merchant, $2 uuid customer, $3 int8 limit. Row: int8 how many
-- payments.
with page as materialized (
    select p.id
    from reli.customer c
    join reli.payment p on p.merchant_id = $1 and p.customer_key = c.erase_key
        and p.created_at <= c.erase_until
    where c.merchant_id = $1 and c.id = $2
      and not exists (
          select from reli.provider_event v
          where v.merchant_id = $1
            and v.subject_id between p.id and (left(p.id::text, 35) || 'f')::uuid
            and v.state in ('received', 'retry'))
    order by p.id
    limit $3
),
subjects as materialized (
    select page.id from page
    union all
    select o.refund_id from page
    join reli.refund_owner o on o.merchant_id = $1 and o.payment_id = page.id
),
payments as (
    update reli.payment p set pii = null, customer_key = null from page
    where p.merchant_id = $1 and p.id = page.id
),
calls as (
    update reli.provider_call c set body = '' from page
    where c.merchant_id = $1 and c.payment_id = page.id and c.body <> ''
),
callbacks as (
    update reli.provider_event v set raw = '' from subjects s
    where v.merchant_id = $1
      and v.subject_id between s.id and (left(s.id::text, 35) || 'f')::uuid
      and v.state not in ('received', 'retry') and v.raw <> ''
),
news as (
    update reli.provider_event v set raw = '' from page
    where v.merchant_id in ($1, '00000000-0000-0000-0000-000000000000')
      and v.payment_id = page.id and v.kind = 'confirmation'
      and v.state not in ('received', 'retry') and v.raw <> ''
),
answers as ( -- which may repeat what was delivered
    update reli.delivery_attempt t set answer = null
    from page
    join reli.delivery_owner o on o.merchant_id = $1 and o.payment_id = page.id
    where t.merchant_id = $1 and t.delivery_id = o.delivery_id and t.answer is not null
),
payers as (
    update reli.exception_item x set payer = null, payer_key = null from page
    where x.merchant_id = $1 and x.subject_id = page.id and x.payer is not null
)
select count(*) from page
