-- What a merchant's log has behind a position, for those who watch it grow. $1 uuid merchant, $2
-- text mode, $3 int8 position, $4 text of an array of customers' keys or null for everybody's, $5
-- int8 how many positions are looked at, $6 int8 how many events are shown.
-- Columns: up to which position was looked (as if all were shown); of an event: position, subject,
-- seq, id, type, data, created_at, mode, pii of the payment or payout, the customer's key. At least
-- one row; without an event its position is null.
select h.upto, l.*
from (
    select least(coalesce(max(p.position + p.n) - 1, 0), $3 + $5) as upto
    from reli.log_position p
    where p.merchant_id = $1 and p.kind = 1
      and p.position = (select max(q.position) from reli.log_position q
                        where q.merchant_id = $1 and q.kind = 1)
) h
left join lateral (
    select i.at, i.subject_id, i.seq, e.id, e.type, e.data, e.created_at, e.mode,
        coalesce(p.pii, o.pii) as pii, p.customer_key
    from (
        select s.position + u.k - 1 as at, u.subject_id, u.seq
        from reli.log_position s
        cross join lateral unnest(s.subjects, s.seqs) with ordinality as u(subject_id, seq, k)
        where s.merchant_id = $1 and s.kind = 1
          and s.position >= (select coalesce(max(f.position), 0) from reli.log_position f
                             where f.merchant_id = $1 and f.kind = 1 and f.position <= $3 + 1)
          and s.position <= h.upto
          and s.position + u.k - 1 between $3 + 1 and h.upto
    ) i
    join reli.event e on e.merchant_id = $1 and e.subject_id = i.subject_id and e.seq = i.seq
    left join reli.payment p on p.merchant_id = $1 and p.id = i.subject_id
    left join reli.payout o on o.merchant_id = $1 and o.id = i.subject_id
    where e.mode = $2 and ($4::text is null or p.customer_key = any($4::text::bytea[]))
    order by i.at
    limit $6
) l on true
order by l.at
