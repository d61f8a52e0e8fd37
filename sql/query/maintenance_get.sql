-- Whether maintenance is switched on. Columns: is_on, message, changed_by, updated_at; no row: it
-- never was.
select is_on, message, changed_by, updated_at from reli.maintenance
where merchant_id = '00000000-0000-0000-0000-000000000000'
