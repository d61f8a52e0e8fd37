/* Payments and events as JSON. See render.h. */
#include "core/flow/render.h"

#include "core/codec/json.h"

static const struct str nobody = {"\"phone\":null,\"email\":null,\"name\":null", 37};
static const struct str no_payee = {"\"phone\":null,\"name\":null", 24};
static const struct str reference_name = {"\"provider_transaction_id\":", 26};

static void put_optional(struct buf *out, const char *name, struct str s)
{
    buf_char(out, '"');
    buf_c(out, name);
    buf_c(out, "\":");
    if (s.n == 0)
        buf_c(out, "null");
    else
        json_quote(out, s);
}

void render_person(struct buf *out, struct str phone, struct str email, struct str name)
{
    put_optional(out, "phone", phone);
    buf_char(out, ',');
    put_optional(out, "email", email);
    buf_char(out, ',');
    put_optional(out, "name", name);
}

/* A JSON string whose bytes are the text. */
static bool is_plain(struct str raw)
{
    return raw.n >= 2 && raw.p[0] == '"' && raw.p[raw.n - 1] == '"' &&
           str_find(raw, '\\', 0) == SIZE_MAX;
}

void render_payee(struct buf *out, struct str phone, struct str name)
{
    put_optional(out, "phone", phone);
    buf_char(out, ',');
    put_optional(out, "name", name);
}

static struct err person_member(struct str person, const char *name, struct arena *a,
                                struct str *out)
{
    *out = STR("");
    if (person.n == 0)
        return ERR_OK;
    struct str text = arena_fmt(a, "{%.*s}", STR_ARG(person));
    struct str raw = json_member_bytes(text, str_c(name));
    if (str_eq(raw, STR("null")))
        return ERR_OK;
    if (is_plain(raw)) { /* as nearly always: need not be parsed */
        *out = arena_dup(a, str_n(raw.p + 1, raw.n - 2));
        return ERR_OK;
    }
    struct json *j;
    TRY(json_parse(text, &j, NULL));
    struct str found = json_str(json_get(j, name));
    *out = found.p != NULL ? arena_dup(a, found) : STR("");
    json_free(j);
    return ERR_OK;
}

struct err person_phone(struct str person, struct arena *a, struct str *phone)
{
    return person_member(person, "phone", a, phone);
}

struct err person_email(struct str person, struct arena *a, struct str *email)
{
    return person_member(person, "email", a, email);
}

struct err person_name(struct str person, struct arena *a, struct str *name)
{
    return person_member(person, "name", a, name);
}

static void put_failure(struct jsonw *w, enum failure_code failure, struct str code,
                        struct str message)
{
    if (failure == FAILURE_NONE) {
        jw_null(w, "failure");
        return;
    }
    jw_key(w, "failure");
    jw_open(w);
    jw_c(w, "code", failure_word(failure));
    jw_str(w, "provider_code", code.n > 0 ? code : STR_NULL);
    jw_str(w, "message", message.n > 0 ? message : str_c(failure_message(failure)));
    jw_c(w, "advice", failure_advice_word(failure));
    jw_close(w);
}

static void put_money(struct jsonw *w, const char *name, const struct payment *p, int64_t minor)
{
    jw_money(w, name, (struct money){minor, p->amount.currency});
}

void render_payment(struct jsonw *w, const struct payment_record *rec, struct str person)
{
    const struct payment *p = &rec->p;
    char currency[CURRENCY_TEXT];
    jw_uuid(w, "id", rec->id);
    jw_c(w, "object", "payment");
    jw_str(w, "mode", mode_word(rec->live));
    jw_c(w, "status", payment_status_word(p->status));
    jw_str(w, "reference_no", rec->reference_no);
    jw_str(w, "reference", rec->reference);
    jw_str(w, "provider", rec->provider);
    jw_str(w, "payment_method", rec->method);
    jw_money(w, "amount", p->amount);
    jw_c(w, "currency", currency_text(p->amount.currency, currency));
    put_money(w, "amount_received", p, p->received_minor);
    put_money(w, "amount_refunded", p, p->refunded_minor);
    put_money(w, "fee", p, p->fee_minor);
    put_money(w, "net", p, p->received_minor - p->fee_minor);
    jw_key(w, "customer");
    jw_open(w);
    jw_str(w, "id", rec->customer_id);
    buf_char(w->b, ',');
    buf_str(w->b, person.n > 0 ? person : nobody);
    jw_close(w);
    jw_str(w, "provider_transaction_id", str_c_opt(p->provider_ref));
    jw_str(w, "provider_receipt", str_c_opt(p->receipt));
    jw_c(w, "status_source", status_source_word(p->source));
    jw_raw(w, "next_action", rec->next_action);
    put_failure(w, p->failure, str_c(p->failure_provider_code), str_c(p->failure_message));
    jw_str(w, "description", rec->description);
    jw_str(w, "return_url", rec->return_url);
    jw_str(w, "callback_url", rec->callback_url);
    jw_raw(w, "metadata", rec->metadata);
    jw_time(w, "created_at", p->created_at_us);
    jw_time(w, "updated_at", p->updated_at_us);
    jw_time(w, "expires_at", p->expires_at_us);
    jw_time(w, "completed_at", p->completed_at_us);
}

void render_payout(struct jsonw *w, const struct payout_record *rec, struct str payee)
{
    const struct payout *p = &rec->p;
    char currency[CURRENCY_TEXT];
    jw_uuid(w, "id", rec->id);
    jw_c(w, "object", "payout");
    jw_str(w, "mode", mode_word(rec->live));
    jw_c(w, "status", payout_status_word(p->status));
    jw_str(w, "reference", rec->reference);
    jw_str(w, "provider", rec->provider);
    jw_str(w, "payment_method", rec->method);
    jw_money(w, "amount", p->amount);
    jw_c(w, "currency", currency_text(p->amount.currency, currency));
    jw_key(w, "destination");
    jw_open(w);
    jw_c(w, "type", "mobile_money");
    buf_char(w->b, ',');
    buf_str(w->b, payee.n > 0 ? payee : no_payee);
    jw_close(w);
    jw_str(w, "purpose", rec->purpose);
    jw_str(w, "provider_transaction_id", str_c_opt(p->provider_ref));
    jw_str(w, "provider_receipt", str_c_opt(p->receipt));
    put_failure(w, p->failure, str_c(p->failure_provider_code), str_c(p->failure_message));
    jw_bool(w, "late", p->late);
    jw_str(w, "requested_by", rec->requested_by);
    jw_str(w, "approved_by", rec->approved_by);
    jw_str(w, "description", rec->description);
    jw_str(w, "callback_url", rec->callback_url);
    jw_raw(w, "metadata", rec->metadata);
    jw_time(w, "created_at", p->created_at_us);
    jw_time(w, "updated_at", p->updated_at_us);
    jw_time(w, "completed_at", p->completed_at_us);
}

/* Where nobody stands in a snapshot, and how much of it: in a payment or a payout, whichever comes
 * first. What a client has sent of his own stands behind. */
static size_t find_nobody(struct str snapshot, size_t *n)
{
    size_t at = str_find_str(snapshot, nobody);
    size_t payee = str_find_str(str_first(snapshot, at), no_payee);
    *n = at <= payee ? nobody.n : no_payee.n;
    return at <= payee ? at : payee;
}

/* What is behind a null or a quoted text. */
static struct str value_skip(struct str json)
{
    bool quoted = str_starts(json, STR("\""));
    size_t n = quoted ? 1 : 4;
    while (quoted && n < json.n && json.p[n] != '"')
        n += json.p[n] == '\\' ? 2 : 1;
    return str_from(json, n + quoted);
}

/* The first of each pattern is the member itself: what stands before it is ids, words and quoted
 * texts, and a quoted text cannot hold a bare quotation mark. What stands in the place of the
 * reference is null, or our own id as long as the provider had not told his. */
void render_snapshot(struct buf *out, struct str snapshot, struct str person,
                     struct str provider_ref)
{
    size_t n = 0;
    size_t at = person.n > 0 ? find_nobody(snapshot, &n) : SIZE_MAX;
    if (at != SIZE_MAX) {
        buf_str(out, str_first(snapshot, at));
        buf_str(out, person);
        snapshot = str_from(snapshot, at + n);
    }
    at = provider_ref.n > 0 ? str_find_str(snapshot, reference_name) : SIZE_MAX;
    if (at != SIZE_MAX) {
        buf_str(out, str_first(snapshot, at));
        put_optional(out, "provider_transaction_id", provider_ref);
        snapshot = value_skip(str_from(snapshot, at + reference_name.n));
    }
    buf_str(out, snapshot);
}

void render_created(struct buf *out, struct str snapshot, struct str person,
                    struct str provider_ref, struct str client_token)
{
    render_snapshot(out, snapshot, person, provider_ref);
    out->n -= out->n > 0; /* the closing brace */
    buf_c(out, ",\"client_token\":");
    json_quote(out, client_token);
    buf_char(out, '}');
}

void render_subject(struct jsonw *w, struct uuid subject)
{
    if (id_is_payout(subject)) {
        jw_null(w, "payment_id");
        jw_uuid(w, "payout_id", subject);
    } else {
        jw_uuid(w, "payment_id", subject);
    }
}

void render_event(struct buf *out, const struct event_view *e, struct str person)
{
    struct jsonw w = jw_into(out);
    jw_open(&w);
    jw_uuid(&w, "id", e->id);
    jw_str(&w, "type", e->type);
    jw_i64(&w, "seq", e->seq);
    jw_time(&w, "timestamp", e->at_us);
    jw_str(&w, "mode", e->mode);
    render_subject(&w, e->payment);
    jw_key(&w, "data");
    render_snapshot(out, e->snapshot, person, STR_NULL);
    buf_char(out, '}');
}
