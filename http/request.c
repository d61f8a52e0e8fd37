/* Bytes become a request. The guards (head.c, chunk.c) decide where a message ends and refuse what
 * is ambiguous; llhttp parses the same bytes and has to come to the same end, else the answer is
 * 400: two readers that differ are how requests are smuggled. */
#include "http/http_int.h"
#include "http/percent.h"

static int on_headers_complete(llhttp_t *p);
static int on_body(llhttp_t *p, const char *at, size_t n);
static int on_message_complete(llhttp_t *p);
static enum request_status head_complete(struct exchange *ex, struct str bytes, struct err *err);
static enum request_status body_feed(struct exchange *ex, struct str bytes, size_t *used,
                                     struct err *err);
static void find_route(struct exchange *ex);
static void find_peer(struct exchange *ex);
static void find_scheme(struct exchange *ex);

static const llhttp_settings_t settings = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

enum request_status request_feed(struct exchange *ex, struct str bytes, size_t *used,
                                 struct err *err)
{
    *used = 0;
    if (ex->phase == PHASE_HEAD) {
        enum head_status head = head_feed(&ex->head, bytes);
        if (head == HEAD_MORE)
            return REQUEST_MORE;
        *err = ex->head.err;
        if (head == HEAD_BAD)
            return REQUEST_BAD;
        *used = ex->head.line;
        enum request_status status = head_complete(ex, str_first(bytes, *used), err);
        if (status != REQUEST_MORE)
            return status;
        bytes = str_from(bytes, *used);
    }
    size_t n = 0;
    enum request_status status = body_feed(ex, bytes, &n, err);
    *used += n;
    return status;
}

/* ---- llhttp ---- */

static int on_headers_complete(llhttp_t *p)
{
    struct exchange *ex = p->data;
    ex->keep_alive = llhttp_should_keep_alive(p) != 0;
    ex->upgrade = llhttp_get_upgrade(p) != 0 && ex->head.minor == 1;
    return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
    struct exchange *ex = p->data;
    if (ex->pub.route == NULL || ex->pub.method == HTTP_GET_ || ex->pub.method == HTTP_HEAD_)
        return 0; /* nobody will look at it */
    size_t had = ex->body.n;
    buf_add(&ex->body, at, n);
    ex->s->bodies += ex->body.n - had;
    return 0;
}

static int on_message_complete(llhttp_t *p)
{
    struct exchange *ex = p->data;
    ex->complete = true;
    return HPE_PAUSED; /* what follows belongs to the next request, or to another protocol */
}

/* Whether llhttp takes the bytes and is done exactly if `last`. */
static bool agrees(struct exchange *ex, struct str bytes, bool last)
{
    if (bytes.n == 0)
        return ex->complete == last;
    if (ex->complete)
        return false;
    llhttp_errno_t rc = llhttp_execute(&ex->parser, bytes.p, bytes.n);
    if (rc == HPE_PAUSED && ex->complete) {
        if (llhttp_get_error_pos(&ex->parser) == bytes.p + bytes.n)
            return last;
        return false;
    }
    return rc == HPE_OK && !last;
}

/* ---- the head ---- */

static void take_request_id(struct exchange *ex)
{
    struct str id = head_known(&ex->head, ex->head_bytes, HEAD_REQUEST_ID);
    bool sane = id.n >= 1 && id.n < HTTP_REQUEST_ID_TEXT;
    for (size_t i = 0; sane && i < id.n; i++)
        sane = ascii_is_alpha(id.p[i]) || ascii_is_digit(id.p[i]) || id.p[i] == '.' ||
               id.p[i] == '_' || id.p[i] == '-';
    if (sane)
        str_copy_c(ex->pub.request_id, sizeof ex->pub.request_id, id);
    else
        exchange_make_id(ex);
}

static void split_target(struct exchange *ex)
{
    struct str target = head_str(ex->head_bytes, ex->head.target);
    size_t mark = str_find(target, '?', 0);
    ex->pub.path = mark == SIZE_MAX ? target : str_first(target, mark);
    if (ex->pub.path.n == 0) /* of "http://host" */
        ex->pub.path = STR("/");
    ex->pub.query = mark == SIZE_MAX ? STR_NULL : str_from(target, mark + 1);
}

/* A body that is refused before a byte of it is taken. */
static bool body_is_too_large(const struct exchange *ex, struct err *err)
{
    if (ex->head.length > ex->s->o.max_body) {
        *err = ERR(BODY_TOO_LARGE, "the body is larger than this service takes");
        return true;
    }
    if (ex->s->bodies + ex->head.length > BODIES_MAX) {
        *err = ERR(OVERLOADED, "too many bodies in memory");
        return true;
    }
    return false;
}

static enum request_status head_complete(struct exchange *ex, struct str bytes, struct err *err)
{
    const struct head *h = &ex->head;
    struct http_exchange *x = &ex->pub;
    ex->head_bytes = arena_dup(&ex->arena, bytes);
    if (ex->head_bytes.p == NULL) {
        *err = ERR(OVERLOADED, "out of memory");
        return REQUEST_BAD;
    }
    x->started_us = loop_mono_us(ex->s->loop);
    x->method = h->method >= 0 ? (enum http_method)h->method : HTTP_GET_;
    take_request_id(ex);
    split_target(ex);
    find_peer(ex);
    find_scheme(ex);
    find_route(ex);
    ex->phase = PHASE_READ;
    if (h->method < 0) /* no route has it, and what its body means is unknown */
        return REQUEST_DONE;

    bool has_body = h->chunked || h->length > 0;
    llhttp_init(&ex->parser, HTTP_REQUEST, &settings);
    ex->parser.data = ex;
    if (!agrees(ex, ex->head_bytes, !has_body)) {
        *err = ERR(BAD_REQUEST, "malformed request head");
        return REQUEST_BAD;
    }
    if (!has_body)
        return REQUEST_DONE;
    if (body_is_too_large(ex, err))
        return REQUEST_BAD;
    if (h->expects_continue && x->route == NULL) {
        ex->keep_alive = false; /* answered without asking for the body */
        return REQUEST_DONE;
    }
    ex->phase = PHASE_BODY;
    ex->wants_continue = h->expects_continue;
    ex->body_left = h->length;
    ex->chunk = chunk_guard();
    return REQUEST_MORE;
}

static bool escapes_are_sound(struct exchange *ex, const struct router_match *m)
{
    struct http_exchange *x = &ex->pub;
    struct str decoded;
    for (int i = 0; i < m->n_params; i++)
        if (!percent_decode(&ex->arena, m->params[i], false, &x->params[i]))
            return false;
    return percent_decode(&ex->arena, x->query, true, &decoded);
}

static void find_route(struct exchange *ex)
{
    struct router_match m;
    router_find(ex->s->router, ex->head.method >= 0 ? ex->head.method : ROUTER_NO_METHOD,
                ex->pub.path, &m);
    ex->allowed = m.allowed;
    if (m.route == NULL)
        return;
    ex->bad_escape = !escapes_are_sound(ex, &m);
    if (!ex->bad_escape)
        ex->pub.route = m.route;
}

static void find_peer(struct exchange *ex)
{
    struct address client;
    struct peer *peer = &ex->pub.peer;
    if (!ex->peer_trusted ||
        !address_forwarded(&ex->s->trusted, http_header(&ex->pub, STR("x-forwarded-for")), &client))
        return;
    address_text(&client, peer->text);
    peer->port = 0;
    peer->is_unix = false;
}

/* How the client spoke to the proxy, by the one that is nearest to us. */
static void find_scheme(struct exchange *ex)
{
    struct str list = STR_NULL, word;
    if (ex->peer_trusted)
        list = http_header(&ex->pub, STR("x-forwarded-proto"));
    while (str_split(&list, ',', &word))
        ex->pub.secure = str_ieq(str_trim(word), STR("https"));
}

/* ---- the body ---- */

static enum request_status chunked_feed(struct exchange *ex, struct str bytes, size_t *used,
                                        struct err *err)
{
    enum chunk_status status = chunk_feed(&ex->chunk, bytes, used);
    if (chunk_announced(&ex->chunk) > ex->s->o.max_body) {
        *err = ERR(BODY_TOO_LARGE, "the body is larger than this service takes");
        return REQUEST_BAD;
    }
    if (status == CHUNK_BAD || !agrees(ex, str_first(bytes, *used), status == CHUNK_DONE)) {
        *err = ERR(BAD_REQUEST, "malformed chunked body");
        return REQUEST_BAD;
    }
    return status == CHUNK_DONE ? REQUEST_DONE : REQUEST_MORE;
}

static enum request_status sized_feed(struct exchange *ex, struct str bytes, size_t *used,
                                      struct err *err)
{
    *used = bytes.n < ex->body_left ? bytes.n : (size_t)ex->body_left;
    ex->body_left -= *used;
    if (agrees(ex, str_first(bytes, *used), ex->body_left == 0))
        return ex->body_left == 0 ? REQUEST_DONE : REQUEST_MORE;
    *err = ERR(BAD_REQUEST, "malformed body");
    return REQUEST_BAD;
}

static enum request_status body_feed(struct exchange *ex, struct str bytes, size_t *used,
                                     struct err *err)
{
    enum request_status status =
        ex->head.chunked ? chunked_feed(ex, bytes, used, err) : sized_feed(ex, bytes, used, err);
    if (status != REQUEST_BAD && (ex->body.failed || ex->s->bodies > BODIES_MAX)) {
        *err = ERR(OVERLOADED, "too many bodies in memory");
        return REQUEST_BAD;
    }
    if (*used > 0)
        ex->wants_continue = false;
    if (status == REQUEST_DONE) {
        ex->phase = PHASE_READ;
        ex->pub.body = buf_view(&ex->body);
    }
    return status;
}
