-- Counts a try to log in before it is made, so that many at once count too, unless its account or
-- its address has to wait. From the nth failure in a row on ($4 of an account, $5 of an address)
-- the next try waits a second, then two, four … to fifteen minutes; an account is forgiven after a
-- day without tries, an address after fifteen minutes. $1 bytea account, $2 bytea address, $3
-- timestamptz now. Row: until when to wait, null if the try may be made; how many were counted,
-- less than 2 if another try was faster.
with waits as (
    select max(g.locked_until) as until from reli.login_guard g
    where g.merchant_id = '00000000-0000-0000-0000-000000000000' and g.subject in ($1, $2)
      and g.locked_until > $3
),
taken as (
    insert into reli.login_guard as g (merchant_id, subject, failures, locked_until, updated_at)
    select '00000000-0000-0000-0000-000000000000', s.subject, 1, null, $3
    from waits w, (values ($1::bytea), ($2::bytea)) as s (subject)
    where w.until is null
    on conflict (merchant_id, subject) do update
        set (failures, locked_until, updated_at) = (
            select n.failures,
                case when n.failures >= n.free
                     then $3 + least(900, 1 << least(n.failures - n.free, 10)) * interval '1 second'
                end,
                $3
            from (select case when g.updated_at < $3 - case when g.subject = $1
                                       then interval '1 day' else interval '15 minutes' end
                              then 1 else g.failures + 1 end as failures,
                      case when g.subject = $1 then $4::int4 else $5::int4 end as free) n)
        where g.locked_until is null or g.locked_until <= $3
    returning g.subject
)
select w.until, (select count(*) from taken) from waits w
