-- What counts for a merchant's new payments in a currency. $1 uuid merchant, $2 text mode, $3 text
-- currency. One row: version and schedule of the fees that count now, null if there are none;
-- limits, as limit_rules_parse of core/domain/limit.h reads them, null if there are none.
select f.version, f.schedule, l.rules
from (
    select string_agg(concat_ws(':', r.scope, r.method, r.span, coalesce(r.max_amount, 0),
                                coalesce(r.max_count, 0)), ';' order by r.scope, r.method, r.span)
        as rules
    from reli.limit_rule r
    where r.merchant_id = $1 and r.mode = $2 and r.currency = $3
) l
left join (
    select s.version, s.schedule from reli.fee_schedule s
    where s.merchant_id = $1 and s.mode = $2 and s.currency = $3
    order by s.version desc
    limit 1
) f on true
