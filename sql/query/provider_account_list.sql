-- What may be shown of a merchant's accounts with a provider, best first. $1 uuid merchant, $2 text
-- provider, $3 text mode. Columns: id, name, is_active, priority, version, config, last4,
-- created_at, updated_at, settings.
select a.id, a.name, a.is_active, a.priority, a.version, a.config, a.last4, a.created_at,
    a.updated_at, a.settings
from reli.provider_account a
where a.merchant_id = $1 and a.provider = $2 and a.mode = $3
order by a.priority, a.created_at, a.id
limit 32
