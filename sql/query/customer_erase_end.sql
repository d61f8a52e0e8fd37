-- Ends an erasure, if nothing of the customer is left: what his payments were found by goes a
-- minute after it began, when what was under way then has been committed; until then, or while
-- something is left, the job comes again. $1 uuid merchant, $2 uuid customer, $3 timestamptz now.
-- Row: bool it is over.
with him as materialized (
    select c.id, $3 - c.erased_at < interval '1 minute' as is_early,
        exists (select from reli.payment p
                where p.merchant_id = $1 and p.customer_key = c.erase_key
                  and p.created_at <= c.erase_until) as is_left
    from reli.customer c
    where c.merchant_id = $1 and c.id = $2 and c.status = 'erased'
),
told as (
    update reli.customer c set wiped_at = coalesce(c.wiped_at, $3), updated_at = $3,
        erase_key = case when h.is_early then c.erase_key end,
        version = c.version + 1
    from him h
    where c.merchant_id = $1 and c.id = h.id and not h.is_left
),
over as (
    delete from reli.job j
    where j.merchant_id = $1 and j.kind = 'erasure' and j.subject = $2
      and not exists (select from him h where h.is_left or h.is_early)
),
later as (
    update reli.job j set run_at = $3 + interval '1 minute', lease_until = $3 + interval '1 minute'
    where j.merchant_id = $1 and j.kind = 'erasure' and j.subject = $2
      and exists (select from him h where h.is_left or h.is_early)
)
select not exists (select from him h where h.is_left or h.is_early)
