-- Drops what was noted for security, once it is old: as the schema's owner, since the service may
-- only add to it. $1 timestamptz before which, $2 int8 at most so many. Row: int8 how many.
select reli.security_events_drop($1, $2)
