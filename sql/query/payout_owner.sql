-- Which payout has a reference, and how it stands (null: it never came into being). $1 uuid
-- merchant, $2 text mode, $3 text reference. Columns: payout, status, version.
select r.payout_id, p.status, r.version
from reli.payout_reference r
left join reli.payout p on p.merchant_id = r.merchant_id and p.id = r.payout_id
where r.merchant_id = $1 and r.mode = $2 and r.reference = $3
