-- Uses a ticket up; forgets a few that are older than $3. $1 uuid merchant, $2 uuid ticket, $3 uuid
-- least id that still matters. Row: the id, if it was not used before.
with old as (
    delete from reli.ticket_use t where t.merchant_id = $1 and t.id < $3
)
insert into reli.ticket_use (merchant_id, id) values ($1, $2)
on conflict do nothing
returning id
