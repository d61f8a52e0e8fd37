-- Sets all of a merchant's limits on money for a mode, with the audit row on the list of what has
-- no position yet. $1 uuid merchant, $2 text mode, $3 json list of objects with currency, scope,
-- method, span, max_amount, max_count; $4 timestamptz now, $5 uuid id of the audit row, $6 text
-- actor. Row: how many; none if there is no such merchant. What has been counted stays.
with r as materialized (
    select * from json_to_recordset($3) as r(currency text, scope text, method text, span text,
        max_amount int8, max_count int8)
),
m as (
    select merchant_id from reli.merchant where merchant_id = $1
),
gone as (
    delete from reli.limit_rule o
    where o.merchant_id = $1 and o.mode = $2 and exists (select from m)
      and not exists (select from r where r.currency = o.currency and r.scope = o.scope
                      and r.method = o.method and r.span = o.span)
),
s as (
    insert into reli.limit_rule (merchant_id, mode, currency, scope, method, span, max_amount,
        max_count, created_at, updated_at)
    select m.merchant_id, $2::text, r.currency, r.scope, r.method, r.span, r.max_amount,
        r.max_count, $4::timestamptz, $4
    from m cross join r
    order by r.currency, r.scope, r.method, r.span
    on conflict (merchant_id, mode, currency, scope, method, span) do update
        set max_amount = excluded.max_amount, max_count = excluded.max_count,
            updated_at = excluded.updated_at
),
a as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, $1, $5, $2, 'limits.set', $6, (select count(*) from r) || ' limits', $4 from m
),
l as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $5, array[$5]::uuid[], array[$1]::uuid[], '{0}', '{0}', array[$5]::uuid[], '{null}',
        '{null}', '{0}'
    from m
)
select (select count(*) from r) as n from m
