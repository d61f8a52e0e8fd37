-- What a merchant's log has behind a position, in its order. $1 uuid merchant, $2 text mode, $3
-- int8 position, $4 text of an array of customers' keys or null for everybody's, $5 int8 how many
-- positions are looked at, $6 int8 how many events are shown, $7 text type or null for all.
-- Columns: up to which position was looked (as if all were shown); of an event: position, subject,
-- seq, id, type, data, created_at, mode, pii of the payment or payout, the customer's key. At least
-- one row; without an event its position is null.
-- Each position is looked up by itself (lateral, offset 0), in the order of the index: it ends with
-- the limit, whatever the statistics say. First whose payment it is about: of what is another
-- customer's no more is read.
select h.upto, l.*
from (
    select least(coalesce(max(p.position + p.n) - 1, 0), $3 + $5) as upto
    from reli.log_position p
    where p.merchant_id = $1 and p.kind = 1
      and p.position = (select max(q.position) from reli.log_position q
                        where q.merchant_id = $1 and q.kind = 1)
) h
left join lateral (
    select i.position + i.k - 1 as at, i.subject_id, i.seq, e.id, e.type, e.data, e.created_at,
        e.mode, coalesce(p.pii, o.pii) as pii, p.customer_key
    from (
        select s.position, u.k, u.subject_id, u.seq
        from reli.log_position s
        cross join lateral unnest(s.subjects, s.seqs) with ordinality as u(subject_id, seq, k)
        where s.merchant_id = $1 and s.kind = 1
          and s.position >= (select coalesce(max(f.position), 0) from reli.log_position f
                             where f.merchant_id = $1 and f.kind = 1 and f.position <= $3 + 1)
          and s.position <= h.upto
          and s.position + u.k - 1 between $3 + 1 and h.upto
        order by s.position, u.k
    ) i
    left join lateral (
        select x.id, x.pii, x.customer_key from reli.payment x
        where x.merchant_id = $1 and x.id = i.subject_id
        offset 0
    ) p on true
    cross join lateral (
        select x.id, x.type, x.data, x.created_at, x.mode
        from reli.event x
        where ($4::text is null or p.customer_key = any((select $4::text::bytea[])::bytea[]))
          and x.merchant_id = $1 and x.subject_id = i.subject_id and x.seq = i.seq
          and x.mode = $2 and ($7::text is null or x.type = $7)
        offset 0
    ) e
    left join lateral (
        select x.pii from reli.payout x
        where p.id is null and e.id is not null and x.merchant_id = $1 and x.id = i.subject_id
        offset 0
    ) o on true
    order by i.position, i.k
    limit $6
) l on true
order by l.at
