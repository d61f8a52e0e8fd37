-- A try that was counted was not made: nobody had the time to. $1 bytea account, $2 bytea address.
update reli.login_guard g set failures = greatest(g.failures - 1, 0), locked_until = null
where g.merchant_id = '00000000-0000-0000-0000-000000000000' and g.subject in ($1, $2)
