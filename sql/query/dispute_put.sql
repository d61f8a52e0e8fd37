-- What a customer disputes with his bank, as an item of the operators' queue: one for each dispute,
-- brought up to date by each word of the provider's until one says how it ended. $1 uuid merchant,
-- $2 uuid id of a new item, $3 text mode, $4 uuid payment, $5 int2 attempt, $6 text the provider's
-- id of the dispute, $7 text detail, $8 jsonb what is known of it, $9 bool nobody has to look at it
-- any more, $10 text how it ended then, $11 timestamptz now.
insert into reli.exception_item as x (merchant_id, id, mode, kind, subject_id, attempt_n, ref,
    detail, data, status, resolution, evidence, resolved_by, created_at, updated_at)
values ($1, $2, $3, 'dispute', $4, $5, $6, $7, $8, case when $9 then 'resolved' else 'open' end,
    case when $9 then 'noted' end, case when $9 then $10 end, case when $9 then 'provider' end,
    $11, $11)
on conflict (merchant_id, subject_id, ref) where ref is not null do update set
    detail = excluded.detail, data = excluded.data, updated_at = excluded.updated_at,
    version = x.version + 1,
    status = case when $9 then 'resolved' else x.status end,
    resolution = case when $9 and x.status <> 'resolved' then 'noted' else x.resolution end,
    evidence = case when $9 and x.status <> 'resolved' then $10 else x.evidence end,
    resolved_by = case when $9 and x.status <> 'resolved' then 'provider' else x.resolved_by end
where x.data ->> 'state' = 'open'
