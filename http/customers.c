/* Customers: found by number, address or the merchant's own id, shown, and forgotten. Whatever is
 * searched for is hashed before it goes anywhere. */
#include "http/customer.h"

#include "core/base/times.h"
#include "core/domain/phone.h"
#include "core/flow/customer.h"
#include "core/flow/erasure.h"
#include "core/flow/record.h"
#include "core/flow/render.h"
#include "http/list.h"

enum { BODY_MAX = 1 << 20, WORD_MAX = 254 };

/* ---- one ---- */

enum {
    C_ID,
    C_EXTERNAL,
    C_STATUS,
    C_CREATED,
    C_UPDATED,
    C_ERASED,
    C_WIPED,
    C_PAYMENT,
    C_PII,
};

struct err customer_put(struct http_exchange *x, struct jsonw *w, const struct rows *r, size_t row)
{
    const struct principal *who = api_who(x);
    struct payment_record latest = {.merchant = who->merchant,
                                    .id = rows_uuid(r, row, C_PAYMENT),
                                    .pii = rows_str(r, row, C_PII)};
    struct str person;
    TRY(record_person(api_of(x)->flow, &latest, x->arena, &person));
    jw_uuid(w, "id", rows_uuid(r, row, C_ID));
    jw_c(w, "object", "customer");
    jw_str(w, "mode", mode_word(who->live));
    jw_str(w, "status", rows_str(r, row, C_STATUS));
    jw_str(w, "external_id", rows_str(r, row, C_EXTERNAL));
    buf_char(w->b, ',');
    if (person.n > 0)
        buf_str(w->b, person);
    else
        render_person(w->b, STR(""), STR(""), STR(""));
    jw_time(w, "created_at", rows_time(r, row, C_CREATED));
    jw_time(w, "updated_at", rows_time(r, row, C_UPDATED));
    jw_time(w, "erased_at", rows_time(r, row, C_ERASED));
    jw_time(w, "wiped_at", rows_time(r, row, C_WIPED));
    return ERR_OK;
}

struct lookup {
    struct http_exchange *x;
    customer_found_fn *found;
    void *ctx;
};

static void looked_up(void *ctx, struct err err, const struct rows *r)
{
    struct lookup *l = ctx;
    if (err_is(err))
        http_problem(l->x, err, "");
    else if (rows_n(r) == 0)
        http_problem(l->x, ERR(NOT_FOUND, NULL), "No such customer.");
    else
        l->found(l->ctx, r);
}

void customer_of_path(struct http_exchange *x, customer_found_fn *found, void *ctx)
{
    const struct principal *who = api_who(x);
    struct flow *f = api_of(x)->flow;
    struct lookup *l = ARENA_NEW(x->arena, struct lookup);
    struct str word = x->params[0];
    struct uuid id;
    if (l == NULL || word.n == 0 || word.n > WORD_MAX) {
        http_problem(x, l == NULL ? ERR(NO_MEMORY, "customer") : ERR(NOT_FOUND, NULL),
                     "No such customer.");
        return;
    }
    *l = (struct lookup){x, found, ctx};
    if (!uuid_parse(word, &id))
        id = UUID_NIL;
    struct customer_hash key =
        customer_hash(f->vault, who->merchant, who->live, CUSTOMER_EXTERNAL_ID, word);
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)), V_UUID_OPT(id),
                             V_BYTES(str_n((const char *)key.b, sizeof key.b))};
    store_read(f->store, Q_customer_get, params, COUNT_OF(params), looked_up, l);
}

static void answer_one(struct http_exchange *x, int status, const struct rows *r)
{
    struct buf b;
    buf_init(&b, BODY_MAX);
    struct jsonw w = jw_into(&b);
    jw_open(&w);
    struct err err = customer_put(x, &w, r, 0);
    jw_close(&w);
    if (err_is(err)) {
        buf_free(&b);
        http_problem(x, err, "");
        return;
    }
    api_reply_buf(x, status, &b);
}

static void show(void *ctx, const struct rows *r)
{
    answer_one(ctx, 200, r);
}

void customer_show(struct http_exchange *x)
{
    customer_of_path(x, show, x);
}

/* ---- forgotten ---- */

struct forgetting {
    struct http_exchange *x;
    struct uuid id;
};

static void forgotten(void *ctx, struct err err, const struct rows *r)
{
    struct forgetting *g = ctx;
    if (err_is(err) || rows_n(r) == 0)
        http_problem(g->x, err_is(err) ? err : ERR(NOT_FOUND, NULL), "");
    else
        answer_one(g->x, 202, r);
}

static void erased(void *ctx, struct err err)
{
    struct forgetting *g = ctx;
    const struct principal *who = api_who(g->x);
    if (err_is(err)) {
        http_problem(g->x, err,
                     err.code == ERR_INVALID_STATE
                         ? "A payment, a refund or money that nobody has claimed is still open."
                         : "");
        return;
    }
    struct value params[] = {V_UUID(who->merchant), V_TEXT(mode_word(who->live)), V_UUID(g->id),
                             V_BYTES(STR_NULL)};
    store_read(api_of(g->x)->flow->store, Q_customer_get, params, COUNT_OF(params), forgotten, g);
}

static void erase(void *ctx, const struct rows *r)
{
    struct forgetting *g = ctx;
    const struct principal *who = api_who(g->x);
    g->id = rows_uuid(r, 0, C_ID);
    struct erasure_input in = {.merchant = who->merchant,
                               .customer = g->id,
                               .live = who->live,
                               .actor = str_c(who->actor)};
    erasure_start(api_of(g->x)->flow, &in, erased, g);
}

void customer_erase(struct http_exchange *x)
{
    struct forgetting *g = ARENA_NEW(x->arena, struct forgetting);
    if (g == NULL) {
        http_problem(x, ERR(NO_MEMORY, "customer"), "");
        return;
    }
    g->x = x;
    customer_of_path(x, erase, g);
}

/* ---- many ---- */

struct words {
    struct http_exchange *x;
    size_t n_words;
    struct str words[CUSTOMER_EMAIL + 1]; /* hashes, by enum customer_word; absent: any */
};

static struct err put_listed(struct listing *l, struct jsonw *w, const struct rows *r, size_t row)
{
    jw_open(w);
    TRY(customer_put(l->x, w, r, row));
    jw_close(w);
    return ERR_OK;
}

static const struct list_kind customers = {
    .queries = LIST_QUERIES(customer_list),
    .filters = "phone email external_id",
    .id = C_ID,
    .put = put_listed,
};

static void want(struct words *l, enum customer_word word, struct str text)
{
    const struct principal *who = api_who(l->x);
    struct customer_hash h =
        customer_hash(api_of(l->x)->flow->vault, who->merchant, who->live, word, text);
    l->words[word] = arena_dup(l->x->arena, str_n((const char *)h.b, sizeof h.b));
    l->n_words++;
}

static void read_words(struct words *s, struct field_errors *e)
{
    char e164[PHONE_TEXT];
    struct str phone = http_query(s->x, STR("phone"));
    struct {
        enum customer_word word;
        const char *param;
    } texts[] = {{CUSTOMER_EMAIL, "email"}, {CUSTOMER_EXTERNAL_ID, "external_id"}};
    if (phone.p != NULL && phone_parse(phone, str_c(api_who(s->x)->country), e164))
        want(s, CUSTOMER_PHONE, str_c(e164));
    else if (phone.p != NULL)
        field_error(e, STR("phone"), "format", "Not a phone number; send it as %2B254700000000.");
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct str value = http_query(s->x, str_c(texts[i].param));
        if (value.p != NULL && value.n > 0 && value.n <= WORD_MAX)
            want(s, texts[i].word, value);
        else if (value.p != NULL)
            field_error(e, str_c(texts[i].param), "length", "1 to 254 characters.");
    }
}

void customer_index(struct http_exchange *x)
{
    const struct principal *who = api_who(x);
    struct listing *l = list_new(x, &customers, NULL);
    struct words s = {.x = x};
    if (l == NULL)
        return;
    read_words(&s, &l->errors);
    if (s.n_words > 0)
        l->queries = (struct list_queries)LIST_QUERIES(customer_find);
    struct value params[] = {
        V_UUID(who->merchant),
        V_TEXT(mode_word(who->live)),
        V_BYTES(s.words[CUSTOMER_EXTERNAL_ID]),
        V_BYTES(s.words[CUSTOMER_PHONE]),
        V_BYTES(s.words[CUSTOMER_EMAIL]),
    };
    list_run(l, params, s.n_words > 0 ? COUNT_OF(params) : 2);
}
