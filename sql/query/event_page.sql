-- A merchant's events in the order of their positions. $1 uuid merchant, $2 text mode, $3 int8
-- position behind which, $4 text type or null, $5 int8 limit.
-- Columns: position, subject, seq, event id, type, data, created_at, mode, pii of the payment or
-- payout. Each position is looked up by itself (lateral, offset 0), in the order of the index: it
-- ends with the limit and not with the log, whatever the statistics say.
select x.position, x.subject_id, x.seq, x.id, x.type, x.data, x.created_at, x.mode,
    coalesce(p.pii, o.pii)
from (
    select l.position + l.k - 1 as position, l.subject_id, l.seq, e.id, e.type, e.data,
        e.created_at, e.mode
    from (
        select s.position, i.k, i.subject_id, i.seq
        from reli.log_position s
        cross join lateral unnest(s.subjects, s.seqs) with ordinality as i(subject_id, seq, k)
        where s.merchant_id = $1 and s.kind = 1
          and s.position >= (select coalesce(max(f.position), 0) from reli.log_position f
                             where f.merchant_id = $1 and f.kind = 1 and f.position <= $3 + 1)
          and s.position + i.k - 1 > $3
        order by s.position, i.k
    ) l
    cross join lateral (
        select e.id, e.type, e.data, e.created_at, e.mode
        from reli.event e
        where e.merchant_id = $1 and e.subject_id = l.subject_id and e.seq = l.seq
          and e.mode = $2 and ($4::text is null or e.type = $4)
        offset 0
    ) e
    order by l.position, l.k
    limit $5
) x
left join reli.payment p on p.merchant_id = $1 and p.id = x.subject_id
left join reli.payout o on o.merchant_id = $1 and o.id = x.subject_id
order by x.position
