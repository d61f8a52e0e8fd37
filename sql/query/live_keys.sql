-- Whether a live key exists that may still be used, and whether this role may change the audit
-- trail.
select exists (select from reli.api_key where mode = 'live' and status <> 'revoked'),
    has_table_privilege('reli.audit_log', 'update')
        or has_table_privilege('reli.audit_log', 'delete')
