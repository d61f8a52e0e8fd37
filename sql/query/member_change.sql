-- Another role. An owner is made and changed by owners only, and the last one stays. $1 uuid
-- merchant, $2 uuid user, $3 text role, $4 bool an owner asks, $5 timestamptz now, $6 uuid audit
-- id, $7 text actor. Rows: none if he is no member; was, whether it was changed, whether he is the
-- last owner.
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
    update reli.membership ms set role = $3, updated_at = $5, version = ms.version + 1
    from old
    where ms.merchant_id = $1 and ms.user_id = old.user_id
      and ($4::bool or (old.role <> 'owner' and $3 <> 'owner'))
      and (old.role <> 'owner' or $3 = 'owner' or old.status <> 'active'
           or exists (select from owners o where o.user_id <> $2))
    returning old.role as was
),
audited as (
    insert into reli.audit_log (merchant_id, subject_id, id, mode, action, actor, detail,
        created_at)
    select $1, $2, $6, 'live', 'member.role_changed', $7, was || ' to ' || $3, $5
    from changed
),
logged as (
    insert into reli.log_new (merchant_id, id, ops, subjects, seq_from, seq_to, audit_a, audit_b,
        journals, steps)
    select $1, $6, array[$6]::uuid[], array[$2]::uuid[], '{0}', '{0}',
        array[$6]::uuid[], '{null}', '{null}', '{0}'
    from changed
)
select old.role, exists (select from changed),
    old.role = 'owner' and not exists (select from owners o where o.user_id <> $2)
from old
