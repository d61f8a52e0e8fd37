/* What a step leaves in the books. See record.h. */
#include "core/flow/record.h"

#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "core/flow/render.h"

enum { SNAPSHOT_MAX = 256 * 1024 };

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
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    render_payment(&w, rec, STR_NULL);
    jw_close(&w);
    struct str data = b.failed ? STR_NULL : arena_dup(a, buf_view(&b));
    buf_free(&b);
    if (data.p == NULL)
        return ERR(NO_MEMORY, "snapshot");
    *out = record_event_of(f, rec, payment_notice_type(notice), data);
    return ERR_OK;
}

void record_audit(struct flow *f, const struct payment_record *rec, enum payment_status before,
                  const char *action, struct str actor, struct str detail, struct audit_row *out)
{
    *out = (struct audit_row){
        .merchant_id = rec->merchant,
        .subject_id = rec->id,
        .id = random_uuid(loop_wall_us(f->loop)),
        .mode = mode_word(rec->live),
        .action = str_c(action),
        .actor = actor,
        .before = str_c(payment_status_word(before)),
        .after = str_c(payment_status_word(rec->p.status)),
        .detail = detail.n > 0 ? detail : STR_NULL,
        .at = rec->p.updated_at_us,
    };
}

/* The account's id is a hash of what names it (domain.md, section 5): nobody has to look it up. */
static struct uuid account_row(struct arena *a, const struct payment_record *rec, const char *type,
                               struct uuid owner, uint16_t currency, int64_t now_us,
                               struct account_row *out)
{
    char owner_text[UUID_TEXT], currency_code[CURRENCY_TEXT];
    uint8_t hash[SHA256_LEN];
    *out = (struct account_row){
        .merchant_id = rec->merchant,
        .payment_id = rec->id,
        .mode = mode_word(rec->live),
        .type = str_c(type),
        .owner = arena_dup(a, str_c(uuid_text(owner, owner_text))),
        .currency = arena_dup(a, str_c(currency_text(currency, currency_code))),
        .at = now_us,
    };
    struct str parts[] = {str_n((const char *)rec->merchant.b, 16),
                          STR("\n"),
                          out->mode,
                          STR("\n"),
                          out->type,
                          STR("\n"),
                          out->owner,
                          STR("\n"),
                          out->currency};
    sha256(parts, COUNT_OF(parts), hash);
    memcpy(out->id.b, hash, 16);
    out->id.b[6] = (uint8_t)(0x80 | (out->id.b[6] & 0x0f)); /* UUID version 8: custom */
    out->id.b[8] = (uint8_t)(0x80 | (out->id.b[8] & 0x3f));
    return out->id;
}

void record_transfer(struct arena *a, const struct payment_record *rec,
                     const struct record_transfer *t, struct move_unit *out)
{
    int64_t now = rec->p.updated_at_us;
    ASSERT(out->n_transfers == 0); /* one per unit, so far */
    struct uuid debit =
        account_row(a, rec, t->debit, t->debit_owner, t->amount.currency, now, &out->accounts[0]);
    struct uuid credit =
        account_row(a, rec, t->credit, t->credit_owner, t->amount.currency, now, &out->accounts[1]);
    out->n_accounts = 2;
    out->n_transfers = 1;
    out->row.journal_id = t->journal;
    out->row.journal_steps = 1;
    out->transfers[0] = (struct transfer_row){
        .merchant_id = rec->merchant,
        .payment_id = rec->id,
        .journal_id = t->journal,
        .step = 1,
        .mode = mode_word(rec->live),
        .kind = t->kind,
        .debit_id = debit,
        .credit_id = credit,
        .amount = t->amount.minor,
        .currency = out->accounts[0].currency,
        .at = now,
    };
}

void record_posting(struct arena *a, const struct payment_record *rec,
                    const struct payment_effects *fx, struct move_unit *out)
{
    bool ours = fx->posting == POSTING_RECEIVED;
    if (fx->posting == POSTING_NONE)
        return;
    struct record_transfer t = {
        .journal = ours ? rec->id : attempt_id(rec->id, fx->posted_attempt),
        .kind = ours ? STR("payment_received") : STR("payment_unallocated"),
        .debit = "provider_receivable",
        .debit_owner = rec->account_id,
        .credit = ours ? "merchant_pending" : "unallocated",
        .credit_owner = rec->merchant,
        .amount = fx->posted,
    };
    record_transfer(a, rec, &t, out);
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

void record_exception(struct flow *f, const struct payment_record *rec, const char *kind,
                      struct str detail, struct move_unit *out)
{
    int64_t now = loop_wall_us(f->loop);
    out->n_exceptions = 1;
    out->exceptions[0] = (struct exception_row){
        .merchant_id = rec->merchant,
        .payment_id = rec->id,
        .id = random_uuid(now),
        .mode = mode_word(rec->live),
        .kind = str_c(kind),
        .detail = detail,
        .at = now,
    };
}

struct err record_person(struct flow *f, const struct payment_record *rec, struct arena *a,
                         struct str *person)
{
    *person = STR("");
    if (rec->pii.p == NULL)
        return ERR_OK;
    return vault_open(f->vault, "payment.pii", rec->merchant, rec->id, rec->pii, a, person);
}

struct err record_seal_person(struct flow *f, struct uuid merchant, struct uuid payment,
                              struct arena *a, struct str person, struct str *sealed)
{
    struct buf b;
    buf_init(&b, person.n + 256);
    struct err err = vault_seal(f->vault, "payment.pii", merchant, payment, person, &b);
    if (!err_is(err)) {
        *sealed = arena_dup(a, buf_view(&b));
        if (b.failed || sealed->p == NULL)
            err = ERR(NO_MEMORY, "person");
    }
    buf_free(&b);
    return err;
}
