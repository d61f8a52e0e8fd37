-- A stored key under another master key, if it is still as it was read. $1 text kind, $2 int4
-- number, $3 bytea wrapped, $4 bytea as it was read. Row: the number if it was changed.
update reli.installation_key set wrapped = $3
where merchant_id = '00000000-0000-0000-0000-000000000000' and kind = $1 and number = $2
  and wrapped = $4
returning number
