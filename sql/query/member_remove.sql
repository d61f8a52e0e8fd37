-- Takes somebody out: his sessions with the merchant end. As in member_change an owner is removed
-- by owners only, and the last one stays. $1 uuid merchant, $2 uuid user, $3 bool an owner asks,
-- $4 timestamptz now, $5 uuid audit id, $6 text actor. Rows: as of member_change.
with owners as (
    select o.user_id from reli.membership o
    where o.merchant_id = $1 and o.role = 'owner' and o.status = 'active'
    order by o.user_id
    for update
),
old as (
    select ms.user_id, ms.role, ms.status from reli.membership ms
    where ms.merchant_id = $1 and ms.user_id = $2 and ms.status <> 'removed'
      and (select count(*) from owners) >= 0 -- first: who waits sees what they became
    for update
),
changed as (
    update reli.membership ms set status = 'removed', updated_at = $4, version = ms.version + 1
    from old
    where ms.merchant_id = $1 and ms.user_id = old.user_id and ($3::bool or old.role <> 'owner')
      and (old.role <> 'owner' or old.status <> 'active'
           or exists (select from owners o where o.user_id <> $2))
    returning old.role as was
),
uninvited as (
    delete from reli.invitation
    where merchant_id = $1 and user_id = $2 and exists (select from changed)
),
ended as (
    update reli.session s set revoked_at = $4, revoked_for = 'removed'
    where s.merchant_id = '00000000-0000-0000-0000-000000000000' and s.user_id = $2
      and s.for_merchant = $1 and s.revoked_at is null and exists (select from changed)
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, $2, $5, 'live', 'member.removed', $6, was, $4
    from changed
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $5, array[$5]::uuid[], array[$2]::uuid[], '{0}', '{0}',
        array[$5]::uuid[], '{null}', '{null}', '{0}'
    from changed
)
select old.role, exists (select from changed),
    old.role = 'owner' and not exists (select from owners o where o.user_id <> $2)
from old
