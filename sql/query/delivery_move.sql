-- Moves deliveries by compare-and-set on the revision, with their jobs, what was tried and what
-- their endpoints learn. endpoint_state: null nothing, 'ok', 'failing', 'gone' (disable). An
-- endpoint that has only failed for five days, on three different days (UTC) before, is disabled:
-- two failures with nothing between them tell little. A request
-- that was the last one and answered with nothing is told by its delivery's own row: it gets none
-- of its own (delivery_attempts.sql).
-- Rows: ord int4 of those that moved, bool whether that disabled the endpoint.
with u as materialized (
    select * from unnest($1::int4[], $2::uuid[], $3::uuid[], $4::int4[], $5::text[], $6::int2[],
        $7::timestamptz[], $8::int4[], $9::text[], $10::int8[], $11::timestamptz[],
        $12::int2[], $13::uuid[], $14::timestamptz[], $15::uuid[], $16::text[], $17::bytea[])
    as u(ord, whose, id, revision, status, tries, next_at, last_http, last_error,
        last_took_us, at, job_bucket, job_owner, job_lease, endpoint_id, endpoint_state, answer)
),
moved as (
    update reli.webhook_delivery d set status = u.status, tries = u.tries, next_at = u.next_at,
        last_http = u.last_http, last_error = u.last_error, last_took_us = u.last_took_us,
        revision = d.revision + 1, updated_at = u.at
    from u
    where d.merchant_id = u.whose and d.id = u.id and d.revision = u.revision
    returning d.id
),
tried as (
    insert into reli.delivery_attempt (merchant_id, delivery_id, n, at, http, error, took_us,
        answer)
    select u.whose, u.id, u.tries, u.at, u.last_http, u.last_error, u.last_took_us, u.answer
    from u where u.status <> 'cancelled' and (u.status <> 'delivered' or u.answer is not null)
      and coalesce(u.id in (select id from moved), false)
    on conflict do nothing
),
endpoints as (
    update reli.webhook_endpoint w set updated_at = k.at, version = w.version + 1,
        failing_since = case when k.state = 'ok' then null else coalesce(w.failing_since, k.at) end,
        failing_at = k.at,
        failing_days = case when w.failing_since is null then 1 else w.failing_days + 1 end,
        status = case when k.state = 'gone'
                        or (k.state = 'failing' and w.failing_days >= 3
                            and k.at - w.failing_since > interval '5 days')
                      then 'disabled' else w.status end,
        status_reason = case when k.state = 'gone' then 'gone'
                             when k.state = 'failing' and w.failing_days >= 3
                                  and k.at - w.failing_since > interval '5 days'
                             then 'failing' else w.status_reason end
    from (select distinct on (u.whose, u.endpoint_id) u.whose, u.endpoint_id,
              u.endpoint_state as state, u.at, u.ord
          from u where u.endpoint_state is not null
              and coalesce(u.id in (select id from moved), false)
          order by u.whose, u.endpoint_id, u.endpoint_state = 'gone' desc) k
    where w.merchant_id = k.whose and w.id = k.endpoint_id
      and (k.state <> 'ok' or w.failing_since is not null)
      and (k.state <> 'failing' or w.failing_since is null
           or date_trunc('day', k.at, 'UTC') > w.failing_at
           or (w.failing_days >= 3 and k.at - w.failing_since > interval '5 days'))
      and w.status = 'enabled'
    returning k.ord, w.status
),
done as (
    delete from reli.job j using u
    where j.merchant_id = u.whose and j.kind = 'delivery' and j.subject = u.id and j.n = 0
      and u.next_at is null and coalesce(u.id in (select id from moved), false)
),
jobs as (
    insert into reli.job (merchant_id, kind, subject, n, bucket, run_at, lease_owner, lease_until)
    select u.whose, 'delivery', u.id, 0, u.job_bucket, u.next_at, u.job_owner, u.job_lease
    from u where u.next_at is not null and coalesce(u.id in (select id from moved), false)
    on conflict (merchant_id, kind, subject, n) do update set run_at = excluded.run_at,
        lease_owner = excluded.lease_owner, lease_until = excluded.lease_until
)
select u.ord, coalesce(u.ord in (select ord from endpoints where status = 'disabled'), false)
from u where coalesce(u.id in (select id from moved), false)
