-- A merchant's accounts with providers, best first. $1 uuid merchant.
-- Columns: id, provider, mode, name, is_active, priority, version, settings.
select a.id, a.provider, a.mode, a.name, a.is_active, a.priority, a.version, a.settings
from reli.provider_account a
where a.merchant_id = $1
order by a.priority, a.created_at, a.id
limit 32
