-- Columns: kind, number, wrapped, created_at, progress.
select kind, number, wrapped, created_at, progress from reli.installation_key
where merchant_id = '00000000-0000-0000-0000-000000000000'
order by kind, number
