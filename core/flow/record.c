/* What a step leaves in the books. See record.h. */
#include "core/flow/record.h"

#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "core/flow/render.h"

enum {
    SNAPSHOT_MAX = 256 * 1024,
    SNAPSHOT_USUAL = 1024,
    JOURNAL_REVERSED = 15 /* in place of an attempt's n, which is at most PAYMENT_MAX_ATTEMPTS */
};

struct event_row record_event_of(struct flow *f, const struct payment_record *rec, const char *type,
                                 struct str data)
{
    return (struct event_row){
        .merchant_id = rec->merchant,
        .subject_id = rec->id,
        .seq = rec->p.version,
        .id = random_uuid(loop_wall_us(f->loop)),
        .mode = mode_word(rec->live),
        .type = str_c(type),
        .data = data,
        .at = rec->p.updated_at_us,
        .bucket = job_bucket(rec->id),
        .owner = f->replica,
        .lease = loop_wall_us(f->loop) + FLOW_LEASE_US,
    };
}

struct err record_event(struct flow *f, struct arena *a, const struct payment_record *rec,
                        enum payment_notice notice, struct event_row *out)
{
    struct buf b;
    buf_init(&b, SNAPSHOT_MAX);
    buf_expect(&b, SNAPSHOT_USUAL);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    render_payment(&w, rec, STR_NULL);
    jw_close(&w);
    struct str data = buf_keep(&b, a);
    if (data.p == NULL)
        return ERR(NO_MEMORY, "snapshot");
    *out = record_event_of(f, rec, payment_notice_type(notice), data);
    return ERR_OK;
}

struct audit_row record_audit_of(struct flow *f, const struct payment_record *rec,
                                 const char *before, const char *after, const char *action,
                                 struct str actor, struct str detail)
{
    return (struct audit_row){
        .merchant_id = rec->merchant,
        .subject_id = rec->id,
        .id = random_uuid(loop_wall_us(f->loop)),
        .mode = mode_word(rec->live),
        .action = str_c(action),
        .actor = actor,
        .before = str_c(before),
        .after = str_c(after),
        .detail = detail.n > 0 ? detail : STR_NULL,
        .at = rec->p.updated_at_us,
    };
}

void record_audit(struct flow *f, const struct payment_record *rec, enum payment_status before,
                  const char *action, struct str actor, struct str detail, struct audit_row *out)
{
    *out = record_audit_of(f, rec, payment_status_word(before), payment_status_word(rec->p.status),
                           action, actor, detail);
}

/* The account's id is a hash of what names it (domain.md, section 5): nobody has to look it up. */
static struct uuid account_id(const struct account_row *c)
{
    struct uuid id;
    uint8_t hash[SHA256_LEN];
    struct str parts[] = {str_n((const char *)c->merchant_id.b, 16),
                          STR("\n"),
                          c->mode,
                          STR("\n"),
                          c->type,
                          STR("\n"),
                          c->owner,
                          STR("\n"),
                          c->currency};
    sha256(parts, COUNT_OF(parts), hash);
    memcpy(id.b, hash, 16);
    id.b[6] = (uint8_t)(0x80 | (id.b[6] & 0x0f)); /* UUID version 8: custom */
    id.b[8] = (uint8_t)(0x80 | (id.b[8] & 0x3f));
    return id;
}

struct uuid record_account_id(struct uuid merchant, bool live, enum ledger_account type,
                              uint16_t currency)
{
    char owner[UUID_TEXT];
    ASSERT(ledger_account_owner(type) == LEDGER_OWNER_MERCHANT);
    struct account_row c = {
        .merchant_id = merchant,
        .mode = mode_word(live),
        .type = str_c(ledger_account_word(type)),
        .owner = str_c(uuid_text(merchant, owner)),
        .currency = currency_str(currency),
    };
    return account_id(&c);
}

/* One row for each account, however many legs name it. */
static struct uuid account(struct arena *a, const struct payment_record *rec,
                           const struct record_journal *j, enum ledger_account type,
                           struct move_unit *out)
{
    uint16_t currency = j->gross.currency;
    struct str word = str_c(ledger_account_word(type));
    enum ledger_owner owner = ledger_account_owner(type);
    char text[UUID_TEXT];
    for (size_t i = 0; i < out->n_accounts; i++)
        if (str_eq(out->accounts[i].type, word))
            return out->accounts[i].id;
    ASSERT(owner == LEDGER_OWNER_MERCHANT || owner == LEDGER_OWNER_PROVIDER_ACCOUNT);
    ASSERT(out->n_accounts < COUNT_OF(out->accounts));
    struct uuid provider = uuid_is_nil(j->account) ? rec->account_id : j->account;
    uuid_text(owner == LEDGER_OWNER_MERCHANT ? rec->merchant : provider, text);
    struct account_row *c = &out->accounts[out->n_accounts++];
    *c = (struct account_row){
        .merchant_id = rec->merchant,
        .payment_id = rec->id,
        .mode = mode_word(rec->live),
        .type = word,
        .owner = arena_dup(a, str_c(text)),
        .currency = currency_str(currency),
        .at = rec->p.updated_at_us,
    };
    c->id = account_id(c);
    return c->id;
}

struct err record_journal(struct arena *a, const struct payment_record *rec,
                          const struct record_journal *j, struct move_unit *out)
{
    struct ledger_amounts amounts = {.gross = j->gross,
                                     .fee_minor = j->fee_minor,
                                     .against = j->against,
                                     .first_step = (int)out->n_transfers + 1};
    struct ledger_posting posting;
    TRY(ledger_post(j->event, &amounts, &posting));
    ASSERT(!uuid_is_nil(j->id) && out->n_transfers + (size_t)posting.n <= LEDGER_MAX_TRANSFERS);
    ASSERT(out->n_transfers == 0 || uuid_eq(out->row.journal_id, j->id));
    for (int i = 0; i < posting.n; i++) {
        const struct ledger_transfer *t = &posting.transfers[i];
        ASSERT(t->state == LEDGER_POSTED || id_is_payout(rec->id)); /* their statements know */
        out->transfers[out->n_transfers++] = (struct transfer_row){
            .merchant_id = rec->merchant,
            .payment_id = rec->id,
            .journal_id = j->id,
            .step = (int16_t)t->step,
            .mode = mode_word(rec->live),
            .kind = str_c(t->kind),
            .debit_id = account(a, rec, j, t->debit, out),
            .credit_id = account(a, rec, j, t->credit, out),
            .amount = t->amount.minor,
            .currency = currency_str(t->amount.currency),
            .at = rec->p.updated_at_us,
        };
    }
    out->row.journal_id = j->id;
    out->row.journal_steps = (int16_t)out->n_transfers;
    return ERR_OK;
}

struct err record_posting(struct arena *a, const struct payment_record *rec,
                          const struct payment_effects *fx, struct uuid item, struct move_unit *out)
{
    struct record_journal j = {
        .id = item,
        .gross = fx->posted,
        .account = payment_place(rec, fx->posted_attempt).account_id,
    };
    switch (fx->posting) {
    case POSTING_NONE:
        return ERR_OK;
    case POSTING_RECEIVED:
        j.id = rec->id;
        j.event = LEDGER_EVENT_PAYMENT_RECEIVED;
        j.fee_minor = rec->p.fee_minor;
        break;
    case POSTING_UNALLOCATED:
        j.id = attempt_id(rec->id, fx->posted_attempt);
        j.event = LEDGER_EVENT_PAYMENT_UNALLOCATED;
        break;
    case POSTING_KEPT:
        j.event = LEDGER_EVENT_UNALLOCATED_KEPT;
        break;
    case POSTING_RETURNED:
        j.event = LEDGER_EVENT_UNALLOCATED_RETURNED;
        break;
    case POSTING_REVERSED: /* the fee stays taken, as with a refund */
        j.id = attempt_id(rec->id, JOURNAL_REVERSED);
        j.event = LEDGER_EVENT_PAYMENT_REVERSED;
        break;
    }
    return record_journal(a, rec, &j, out);
}

struct move_call record_exchange(struct arena *a, int attempt, const char *op, const char *outcome,
                                 const struct gw_exchange *x)
{
    return (struct move_call){
        .attempt = attempt,
        .op = op,
        .outcome = outcome,
        .http_status = x->http_status,
        .took_us = x->took_us,
        .body = arena_fmt(a, "{\"request\":%.*s,\"response\":%.*s}",
                          STR_ARG(x->request.n > 0 ? x->request : STR("null")),
                          STR_ARG(x->response.n > 0 ? x->response : STR("null"))),
    };
}

struct err record_call(struct flow *f, struct arena *a, const struct payment_record *rec,
                       const struct move_call *call, struct move_unit *out)
{
    struct buf sealed;
    struct uuid id = random_uuid(loop_wall_us(f->loop));
    buf_init(&sealed, call->body.n + 256);
    struct err err =
        vault_seal(f->vault, "provider_call.body", rec->merchant, id, call->body, &sealed);
    struct str body = err_is(err) ? STR_NULL : arena_dup(a, buf_view(&sealed));
    buf_free(&sealed);
    if (body.p == NULL)
        return err_is(err) ? err : ERR(NO_MEMORY, "provider call");
    out->n_calls = 1;
    out->calls[0] = (struct call_row){
        .merchant_id = rec->merchant,
        .payment_id = rec->id,
        .id = id,
        .mode = mode_word(rec->live),
        .attempt_n = (int16_t)call->attempt,
        .op = str_c(call->op),
        .http_status = call->http_status,
        .took_us = call->took_us,
        .outcome = str_c(call->outcome),
        .body = body,
        .at = loop_wall_us(f->loop),
    };
    return ERR_OK;
}

void record_inbound(const struct move_inbound *inbound, struct move_unit *out)
{
    out->row.inbound_subject = inbound->subject;
    out->row.inbound_key = inbound->dedupe_key;
    out->row.inbound_n = inbound->n;
    out->row.inbound_state = STR("processed");
}

void record_exception(struct flow *f, struct arena *a, const struct payment_record *rec,
                      const struct record_exception *x, struct move_unit *out)
{
    int64_t now = loop_wall_us(f->loop);
    char currency[CURRENCY_TEXT];
    out->n_exceptions = 1;
    out->exceptions[0] = (struct exception_row){
        .merchant_id = rec->merchant,
        .payment_id = rec->id,
        .id = random_uuid(now),
        .subject_id = uuid_is_nil(x->refund) ? rec->id : x->refund,
        .attempt_n = (int16_t)x->attempt,
        .mode = mode_word(rec->live),
        .kind = str_c(x->kind),
        .detail = x->detail,
        .amount = x->waiting.minor,
        .currency = x->waiting.minor > 0
                        ? arena_dup(a, str_c(currency_text(x->waiting.currency, currency)))
                        : STR_NULL,
        .at = now,
    };
}

void record_resolution(struct flow *f, const struct payment_record *rec, struct uuid subject,
                       const struct move_resolution *r, struct move_unit *out)
{
    ASSERT(out->n_resolutions < COUNT_OF(out->resolutions));
    out->resolutions[out->n_resolutions++] = (struct resolution_row){
        .merchant_id = rec->merchant,
        .payment_id = rec->id,
        .subject_id = subject,
        .item_id = r->item,
        .resolution = r->resolution,
        .evidence = r->evidence,
        .resolved_by = r->by,
        .at = loop_wall_us(f->loop),
    };
}

#define PAYMENT_PLACE "payment.pii"
#define PAYOUT_PLACE "payout.pii"

static const char *person_place(struct uuid id)
{
    return id_is_payout(id) ? PAYOUT_PLACE : PAYMENT_PLACE;
}

struct err record_person(struct flow *f, const struct payment_record *rec, struct arena *a,
                         struct str *person)
{
    *person = STR("");
    if (rec->pii.p == NULL)
        return ERR_OK;
    return vault_open(f->vault, person_place(rec->id), rec->merchant, rec->id, rec->pii, a, person);
}

struct err record_seal_person(struct flow *f, struct uuid merchant, struct uuid payment,
                              struct arena *a, struct str person, struct str *sealed)
{
    struct buf b;
    buf_init(&b, person.n + 256);
    struct err err = vault_seal(f->vault, person_place(payment), merchant, payment, person, &b);
    if (!err_is(err)) {
        *sealed = arena_dup(a, buf_view(&b));
        if (b.failed || sealed->p == NULL)
            err = ERR(NO_MEMORY, "person");
    }
    buf_free(&b);
    return err;
}
