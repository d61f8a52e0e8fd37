/* Callbacks on their way. A letter in flight owns nothing but its number in the record, so that a
 * reset can forget charges and records at any time: its completion then finds nothing to do. */
#include "gateways/sandbox/courier.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/times.h"
#include "gateways/outbound.h"

enum note_state { NOTE_IN_FLIGHT, NOTE_ANSWERED, NOTE_LOST, NOTE_FAILED, NOTE_N_STATES };

static const char *const note_words[] = {
    [NOTE_IN_FLIGHT] = "in_flight",
    [NOTE_ANSWERED] = "answered",
    [NOTE_LOST] = "lost",
    [NOTE_FAILED] = "failed",
};

struct note {
    int64_t n, at_us, took_us;
    const char *provider, *result_code;
    const char *error; /* static; NULL if none */
    char id[CALL_ID], url_hash[URL_HASH_TEXT];
    enum note_state state;
    int status;
};

struct letter {
    struct link link;
    struct courier *courier;
    struct outbound_call *call;
    int64_t note, booking, tag;
    const char *provider;
    bool forgotten;
};

struct courier {
    struct loop *loop;
    struct outbound *outbound;
    courier_fn *answered;
    void *ctx;
    struct ring notes;
    int64_t n_in_state[NOTE_N_STATES];
    struct list letters;
};

static const int64_t timeout_us = 10 * US_PER_S;

static void letter_done(void *ctx, const struct outbound_response *response);

struct err courier_new(struct loop *l, courier_fn *answered, void *ctx, struct courier **out)
{
    const struct outbound_options options = {
        .max_per_host = 128, .max_in_flight = 4096, .user_agent = "reli-sandbox"};
    struct courier *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR(NO_MEMORY, "courier");
    struct err e = outbound_new(l, &options, &c->outbound);
    if (err_is(e)) {
        free(c);
        return e;
    }
    c->loop = l;
    c->answered = answered;
    c->ctx = ctx;
    ring_init(&c->notes, sizeof(struct note), COURIER_KEEP);
    list_init(&c->letters);
    *out = c;
    return ERR_OK;
}

void courier_reset(struct courier *c)
{
    struct link *next;
    for (struct link *k = list_first(&c->letters); k != NULL; k = next) {
        struct letter *letter = CONTAINER_OF(k, struct letter, link);
        next = list_next(&c->letters, k);
        if (letter->forgotten)
            continue;
        letter->forgotten = true;
        outbound_cancel(letter->call);
    }
    ring_reset(&c->notes);
    memset(c->n_in_state, 0, sizeof c->n_in_state);
}

void courier_free(struct courier *c)
{
    if (c == NULL)
        return;
    for (struct link *k = list_first(&c->letters); k != NULL; k = list_next(&c->letters, k))
        CONTAINER_OF(k, struct letter, link)->forgotten = true;
    outbound_free(c->outbound);
    ASSERT(list_is_empty(&c->letters));
    ring_reset(&c->notes);
    free(c);
}

static int64_t note_add(struct courier *c, const struct parcel *p, enum note_state state,
                        const char *error)
{
    struct note *note = ring_add(&c->notes);
    c->n_in_state[state]++;
    if (note != NULL) {
        note->n = c->notes.n;
        note->at_us = loop_wall_us(c->loop);
        note->provider = p->provider;
        note->result_code = p->result_code;
        note->error = error;
        (void)str_copy_c(note->id, sizeof note->id, str_c(p->id));
        (void)str_copy_c(note->url_hash, sizeof note->url_hash, str_c(p->url_hash));
        note->state = state;
    }
    return c->notes.n;
}

struct err courier_send(struct courier *c, const struct parcel *p, struct str body)
{
    struct outbound_request request = {.method = "POST",
                                       .url = p->url,
                                       .n_headers = 1,
                                       .headers = {"Content-Type: application/json"},
                                       .body = body,
                                       .timeout_us = timeout_us,
                                       .max_response = 4096,
                                       .cut_response = true};
    for (size_t i = 0; i < PARCEL_HEADERS && p->headers[i] != NULL; i++)
        request.headers[request.n_headers++] = p->headers[i];
    struct letter *letter = calloc(1, sizeof *letter);
    if (letter == NULL)
        return ERR(OVERLOADED, "no memory for a callback");
    struct err e = outbound_start(c->outbound, &request, letter_done, letter, &letter->call);
    if (err_is(e)) {
        free(letter);
        if (e.code != ERR_INVALID)
            return ERR(OVERLOADED, "too many callbacks on their way");
        (void)note_add(c, p, NOTE_FAILED, "invalid URL");
        return ERR_OK;
    }
    letter->courier = c;
    letter->booking = p->booking;
    letter->tag = p->tag;
    letter->provider = p->provider;
    letter->note = note_add(c, p, NOTE_IN_FLIGHT, NULL);
    list_push(&c->letters, &letter->link);
    return ERR_OK;
}

void courier_lose(struct courier *c, const struct parcel *p)
{
    (void)note_add(c, p, NOTE_LOST, NULL);
}

static void letter_done(void *ctx, const struct outbound_response *response)
{
    struct letter *letter = ctx;
    struct courier *c = letter->courier;
    struct delivery d = {
        .provider = letter->provider, .booking = letter->booking, .tag = letter->tag};
    int64_t n = letter->note;
    bool forgotten = letter->forgotten;
    list_remove(&c->letters, &letter->link);
    free(letter);
    if (forgotten)
        return;
    bool answered = response->outcome == OUTBOUND_ANSWERED;
    enum note_state state = answered ? NOTE_ANSWERED : NOTE_FAILED;
    c->n_in_state[NOTE_IN_FLIGHT]--;
    c->n_in_state[state]++;
    struct note *note = ring_at(&c->notes, n);
    if (note != NULL) {
        note->state = state;
        note->status = answered ? response->status : 0;
        note->took_us = response->took_us;
        note->error = response->error;
    }
    d.status = answered ? response->status : 0;
    d.body = answered ? response->body : STR("");
    c->answered(c->ctx, &d);
}

static void note_print(const struct note *note, struct jsonw *w)
{
    jw_open(w);
    jw_i64(w, "n", note->n);
    jw_time(w, "at", note->at_us);
    jw_c(w, "provider", note->provider);
    jw_c(w, "checkout_request_id", note->id);
    jw_c(w, "callback_url_hash", note->url_hash);
    jw_c(w, "result_code", note->result_code);
    jw_c(w, "state", note_words[note->state]);
    jw_i64(w, "http_status", note->status);
    jw_str(w, "error", str_c(note->error));
    jw_i64(w, "took_us", note->took_us);
    jw_close(w);
}

void courier_print(const struct courier *c, struct str id, int64_t limit, struct jsonw *w)
{
    const struct note *note;
    int64_t matching = 0;
    int64_t first = ring_first(&c->notes);
    for (int64_t n = first; (note = ring_at(&c->notes, n)) != NULL; n++)
        matching += str_empty(id) || str_eq(id, str_c(note->id));
    int64_t skip = matching > limit ? matching - limit : 0;
    jw_open(w);
    jw_i64(w, "total", matching);
    jw_i64(w, "sent", c->notes.n - c->n_in_state[NOTE_LOST]);
    for (int s = 0; s < NOTE_N_STATES; s++)
        jw_i64(w, note_words[s], c->n_in_state[s]);
    jw_key(w, "data");
    jw_open_list(w);
    for (int64_t n = first; (note = ring_at(&c->notes, n)) != NULL; n++)
        if ((str_empty(id) || str_eq(id, str_c(note->id))) && --skip < 0)
            note_print(note, w);
    jw_close_list(w);
    jw_close(w);
}
