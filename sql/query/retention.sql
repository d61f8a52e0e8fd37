-- Drops what was exchanged with providers and merchants' servers, and who sent money that has been
-- decided about, once it is old. A callback that is told again after that is processed again, and
-- finds everything done. $1 timestamptz before which, $2 int8 at most so many of each.
-- Row: int8 calls, int8 callbacks, int8 requests of deliveries, int8 payers.
with calls as (
    delete from reli.provider_call c
    using (select o.merchant_id, o.payment_id, o.id from reli.provider_call o
           where o.created_at < $1 limit $2) old
    where c.merchant_id = old.merchant_id and c.payment_id = old.payment_id and c.id = old.id
    returning 1
),
callbacks as (
    delete from reli.provider_event v
    using (select o.merchant_id, o.subject_id, o.dedupe_key from reli.provider_event o
           where o.created_at < $1 and o.state not in ('received', 'retry') limit $2) old
    where v.merchant_id = old.merchant_id and v.subject_id = old.subject_id
      and v.dedupe_key = old.dedupe_key
    returning 1
),
requests as (
    delete from reli.delivery_attempt a
    using (select o.merchant_id, o.delivery_id, o.n from reli.delivery_attempt o
           where o.at < $1 limit $2) old
    where a.merchant_id = old.merchant_id and a.delivery_id = old.delivery_id and a.n = old.n
    returning 1
),
payers as (
    update reli.exception_item x set payer = null, payer_key = null
    where x.status = 'resolved' and x.updated_at < $1 and x.payer is not null
    returning 1
)
select (select count(*) from calls), (select count(*) from callbacks),
    (select count(*) from requests), (select count(*) from payers)
