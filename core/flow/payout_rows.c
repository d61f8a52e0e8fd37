/* What a step of a payout leaves behind, made from the record as it is after the step; and the
 * request that is sent for it. */
#include "core/flow/payout_int.h"
#include "core/flow/record.h"
#include "core/flow/render.h"
#include "core/flow/sending.h"

enum { SNAPSHOT_MAX = 64 * 1024 };

struct payment_record payout_head(const struct payout_record *rec)
{
    return (struct payment_record){
        .merchant = rec->merchant,
        .id = rec->id,
        .op_id = rec->op_id,
        .account_id = rec->account_id,
        .live = rec->live,
        .pii = rec->pii,
        .p = {.version = rec->p.version,
              .amount = rec->p.amount,
              .updated_at_us = rec->p.updated_at_us},
    };
}

static struct err rendered(struct arena *a, const struct payout_record *rec, struct str payee,
                           struct str *out)
{
    struct buf b;
    buf_init(&b, SNAPSHOT_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    render_payout(&w, rec, payee);
    jw_close(&w);
    *out = buf_keep(&b, a);
    return out->p != NULL ? ERR_OK : ERR(NO_MEMORY, "payout");
}

struct err payout_event_row(struct flow *f, struct arena *a, const struct payout_record *rec,
                            const char *type, struct event_row *out)
{
    struct payment_record head = payout_head(rec);
    struct str data;
    TRY(rendered(a, rec, STR(""), &data));
    *out = record_event_of(f, &head, type, data);
    return ERR_OK;
}

struct err payout_body(struct flow *f, struct arena *a, const struct payout_record *rec,
                       struct str *body)
{
    struct payment_record head = payout_head(rec);
    struct str payee;
    TRY(record_person(f, &head, a, &payee));
    return rendered(a, rec, payee, body);
}

void payout_audit_row(struct flow *f, const struct payout_record *rec, enum payout_status before,
                      const char *action, struct str actor, struct audit_row *out)
{
    struct payment_record head = payout_head(rec);
    *out = record_audit_of(f, &head, payout_status_word(before), payout_status_word(rec->p.status),
                           action, actor, STR_NULL);
}

static struct str or_empty(struct str s)
{
    return s.p != NULL ? s : STR("");
}

struct err payout_request(struct flow *f, struct arena *a, const struct payout_record *rec, int n,
                          const struct gateway *g, struct gw_payout *out)
{
    struct payment_record head = payout_head(rec);
    struct str payee, phone, name;
    TRY(record_person(f, &head, a, &payee));
    TRY(person_phone(payee, a, &phone));
    TRY(person_name(payee, a, &name));
    if (phone.n == 0)
        return ERR(INVALID, "nobody is known who could get it");
    *out = (struct gw_payout){
        .amount = rec->p.amount,
        .phone = phone,
        .name = name,
        .purpose = or_empty(rec->purpose),
        .trace = or_empty(rec->trace),
        .remarks = rec->description.p != NULL ? rec->description : STR("Payout"),
        .now_us = loop_wall_us(f->loop),
    };
    return sending_names(f, a, g, attempt_id(rec->id, n), rec->merchant, &out->our_id,
                         &out->callback_url);
}
