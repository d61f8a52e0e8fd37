-- Columns: kind, number, wrapped.
select kind, number, wrapped from reli.installation_key
where merchant_id = '00000000-0000-0000-0000-000000000000'
order by kind, number
