/* `reli listen`: a merchant's events, brought to a developer's machine.
 *
 * One WebSocket to the merchant's channel, which resumes by position; its events wait in a queue
 * and go to the target one after the other, as webhooks. What fails: the connection (again after a
 * pause, from behind the last event that came); the target (a few tries, then the event is shown as
 * failed and passed over); the key (the end). A target that is slow stops the reading, and with it
 * the server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/times.h"
#include "core/codec/json.h"
#include "core/commands.h"
#include "core/crypto/mac.h"
#include "core/crypto/random.h"
#include "core/flow/webhook.h"
#include "core/flow/webhook_sign.h"
#include "core/tool.h"
#include "gateways/outbound.h"
#include "gateways/outbound_line.h"
#include "ws/client.h"

enum { TRIES = 4, TYPE_MAX = 64, TARGET_MAX = 1024 };
enum { QUEUE_PAUSE = 4 * 1024 * 1024, QUEUE_RESUME = QUEUE_PAUSE / 2 };
#define TRY_PAUSE_US (250 * US_PER_MS) /* doubled each time */
#define DIAL_PAUSE_US (500 * US_PER_MS)
#define DIAL_PAUSE_MAX_US (15 * US_PER_S)
#define ANSWER_US (10 * US_PER_S)
#define QUIET_US (75 * US_PER_S) /* the server pings every 30 s */
#define POST_US (15 * US_PER_S)  /* as for webhooks */
#define CHANNEL "/api/v1/ws/merchant"

struct event {
    struct link link;
    int64_t position;
    int64_t seq; /* of its payment; 0: of none */
    char id[UUID_TEXT], type[TYPE_MAX];
    size_t len;
    char body[];
};

struct listen {
    struct loop *loop;
    struct outbound *outbound;
    struct arena arena;
    struct str base, host, key, events; /* of the service, its events */
    const char *target, *secret, *ca;
    struct webhook_key sign;

    struct line *line; /* NULL between connections */
    struct client client;
    struct timer dial, quiet;
    struct later hang_up;
    int64_t dial_pause_us;
    int64_t seen; /* position of the last event that came; -1: from now on */

    struct list waiting; /* the first one is being sent */
    size_t n_waiting;    /* bytes */
    struct outbound_call *call;
    struct timer again;
    int tries;
    int code;
    bool stopping;
};

static const char usage[] =
    "listen --forward URL [--after POSITION] [--events TYPE,…] [--secret whsec_…] [--ca FILE]";

static void dial(void *ctx);
static void send_first(void *ctx);

static void stop(struct listen *l, int code)
{
    l->stopping = true;
    l->code = code;
    loop_stop(l->loop);
}

static void interrupted(void *ctx)
{
    stop(ctx, 0);
}

/* ---- the target ---- */

static void first_done(struct listen *l)
{
    struct event *e = CONTAINER_OF(list_pop(&l->waiting), struct event, link);
    l->n_waiting -= e->len;
    l->tries = 0;
    free(e);
    if (l->line != NULL && l->n_waiting < QUEUE_RESUME)
        line_pause(l->line, false);
    send_first(l);
}

static void answered(void *ctx, const struct outbound_response *r)
{
    struct listen *l = ctx;
    struct event *e = CONTAINER_OF(list_first(&l->waiting), struct event, link);
    char status[16] = "-";
    l->call = NULL;
    if (l->stopping)
        return;
    bool there = r->outcome == OUTBOUND_ANSWERED;
    bool good = there && r->status >= 200 && r->status < 300;
    long long ms = (long long)(r->took_us / US_PER_MS);
    if (there)
        snprintf(status, sizeof status, "%d", r->status);
    if (!good && ++l->tries < TRIES) {
        timer_set(l->loop, &l->again, TRY_PAUSE_US << (l->tries - 1), send_first, l);
        return;
    }
    printf("%-26s %s %s %lld ms", e->type, e->id, status, ms);
    if (!good)
        printf(", failed after %d tries%s%s", l->tries, there ? "" : ": ", there ? "" : r->error);
    putchar('\n');
    first_done(l);
}

static struct err post(struct listen *l, const struct event *e)
{
    char id[64], at[64], seq[64];
    struct buf signature;
    int64_t now_s = loop_wall_us(l->loop) / US_PER_S;
    buf_init(&signature, 1024);
    buf_c(&signature, "webhook-signature: ");
    webhook_sign(str_c(e->id), now_s, str_n(e->body, e->len), &l->sign, 1, &signature);
    buf_char(&signature, '\0');
    snprintf(id, sizeof id, "webhook-id: %s", e->id);
    snprintf(at, sizeof at, "webhook-timestamp: %lld", (long long)now_s);
    snprintf(seq, sizeof seq, "Reli-Seq: %lld", (long long)e->seq);
    struct outbound_request rq = {
        .method = "POST",
        .url = l->target,
        .n_headers = e->seq > 0 ? 5 : 4,
        .headers = {"Content-Type: application/json", id, at, signature.p, seq},
        .body = str_n(e->body, e->len),
        .timeout_us = POST_US,
        .max_response = 1024,
        .cut_response = true,
    };
    struct err err = signature.failed ? ERR(NO_MEMORY, "signature")
                                      : outbound_start(l->outbound, &rq, answered, l, &l->call);
    buf_free(&signature);
    return err;
}

static void send_first(void *ctx)
{
    struct listen *l = ctx;
    struct link *first = list_first(&l->waiting);
    if (first == NULL || l->call != NULL || timer_is_on(&l->again) || l->stopping)
        return;
    struct err err = post(l, CONTAINER_OF(first, struct event, link));
    if (err_is(err)) {
        fprintf(stderr, "reli: %s\n", err.what);
        stop(l, 1);
    }
}

/* ---- events ---- */

static bool is_word(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_alpha(s.p[i]) && s.p[i] != '.' && s.p[i] != '_')
            return false;
    return s.n > 0 && s.n < TYPE_MAX;
}

/* Puts an event at the end of the queue: its frame without the position is what a webhook says. */
static bool keep(struct listen *l, struct str frame, const struct json *j)
{
    static const char member[] = ",\"position\":";
    enum { MEMBER = sizeof member - 1 };
    struct str id = json_str(json_get(j, "id")), type = json_str(json_get(j, "type"));
    struct str place = json_member_bytes(frame, STR("position"));
    struct uuid is_id;
    struct event *e = malloc(sizeof *e + frame.n);
    if (e == NULL || !uuid_parse(id, &is_id) || !is_word(type) || place.p == NULL) {
        free(e);
        return false;
    }
    *e = (struct event){.position = l->seen};
    uuid_text(is_id, e->id);
    str_copy_c(e->type, sizeof e->type, type);
    if (!json_i64(json_get(j, "seq"), &e->seq))
        e->seq = 0;
    size_t from = (size_t)(place.p - frame.p), to = from + place.n;
    if (from >= MEMBER && memcmp(frame.p + from - MEMBER, member, MEMBER) == 0)
        from -= MEMBER;
    else
        from = to; /* not as we say it: then all of it */
    memcpy(e->body, frame.p, from);
    memcpy(e->body + from, frame.p + to, frame.n - to);
    e->len = from + frame.n - to;
    list_push(&l->waiting, &e->link);
    l->n_waiting += e->len;
    if (l->n_waiting > QUEUE_PAUSE)
        line_pause(l->line, true);
    return true;
}

static bool take_frame(struct listen *l, struct str frame, const struct json *j)
{
    struct str type = json_str(json_get(j, "type"));
    int64_t at;
    if (str_eq(type, STR("hello"))) {
        if (!json_i64(json_get(j, "seq"), &at))
            return false;
        if (l->seen > at)
            fprintf(stderr, "reli: the log ends at %lld: it is not the one of position %lld\n",
                    (long long)at, (long long)l->seen);
        if (l->seen < 0 || l->seen > at)
            l->seen = at;
        l->dial_pause_us = 0;
        fprintf(stderr, "reli: listening from position %lld on\n", (long long)l->seen);
        return true;
    }
    if (!json_i64(json_get(j, "position"), &at))
        return false;
    if (at <= l->seen)
        return true;
    l->seen = at;
    return !webhook_wanted(l->events, type) || keep(l, frame, j);
}

static void on_message(void *ctx, struct str text)
{
    struct listen *l = ctx;
    struct json *j = NULL;
    struct err err = json_parse(text, &j, NULL);
    if (err_is(err) || !take_frame(l, text, j)) {
        fprintf(stderr, "reli: the service sent what is no event\n");
        stop(l, 1);
    }
    json_free(j);
    send_first(l);
}

/* ---- the connection ---- */

static void hang_up(void *ctx)
{
    struct listen *l = ctx;
    timer_off(l->loop, &l->quiet);
    loop_later_off(l->loop, &l->hang_up);
    if (l->line == NULL)
        return;
    client_end(&l->client);
    line_close(l->line);
    l->line = NULL;
}

static void dial_again(struct listen *l, const char *why)
{
    if (l->stopping)
        return;
    int64_t pause_us = l->dial_pause_us > 0 ? l->dial_pause_us : DIAL_PAUSE_US;
    fprintf(stderr, "reli: %s; again in %.1f s\n", why, (double)pause_us / US_PER_S);
    l->dial_pause_us = pause_us * 2 < DIAL_PAUSE_MAX_US ? pause_us * 2 : DIAL_PAUSE_MAX_US;
    /* not from within what the line or the client is telling */
    loop_later(l->loop, &l->hang_up, hang_up, l);
    timer_set(l->loop, &l->dial, pause_us, dial, l);
}

static void on_quiet(void *ctx)
{
    struct listen *l = ctx;
    if (l->n_waiting > QUEUE_RESUME) /* it is we who do not read */
        timer_set(l->loop, &l->quiet, QUIET_US, on_quiet, l);
    else
        dial_again(l, "nothing is heard of the service");
}

static void on_send(void *ctx, struct str bytes)
{
    struct listen *l = ctx;
    if (l->line != NULL)
        line_send(l->line, bytes);
}

static void on_opened(void *ctx)
{
    struct listen *l = ctx;
    timer_set(l->loop, &l->quiet, QUIET_US, on_quiet, l);
}

static void on_over(void *ctx, int status, int code)
{
    struct listen *l = ctx;
    char why[64];
    if (status == 401 || status == 403 || status == 404 || status == 400 || status == 422) {
        fprintf(stderr, "reli: the service answered %d%s\n", status,
                status == 401   ? ": RELI_API_KEY is not, or no longer, a key there"
                : status == 403 ? ": the key may not read payments"
                : status == 404 ? ": it has no events for a merchant there"
                                : "");
        stop(l, 1);
        return;
    }
    if (status != 0)
        snprintf(why, sizeof why, "the service answered %d", status);
    else if (code != 0)
        snprintf(why, sizeof why, "the service ended the connection with %d", code);
    else
        snprintf(why, sizeof why, "that is no WebSocket");
    dial_again(l, why);
}

static void on_data(void *ctx, struct str bytes)
{
    struct listen *l = ctx;
    client_take(&l->client, bytes);
    if (l->client.is_open && !l->client.is_over)
        timer_set(l->loop, &l->quiet, QUIET_US, on_quiet, l); /* a ping is a sign of life too */
}

static void on_line_end(void *ctx, const char *why)
{
    struct listen *l = ctx;
    if (!timer_is_on(&l->dial))
        dial_again(l, why);
}

static void dial(void *ctx)
{
    static const struct line_events line_events = {on_data, on_line_end};
    static const struct client_events client_events = {on_send, on_opened, on_message, on_over};
    struct listen *l = ctx;
    char target[TARGET_MAX], url[TARGET_MAX];
    hang_up(l);
    snprintf(url, sizeof url, "%.*s/", STR_ARG(l->base));
    struct err err = line_open(l->loop, url, l->ca, &line_events, l, &l->line);
    if (err_is(err)) {
        dial_again(l, err.what);
        return;
    }
    struct str path = str_from(l->base, (size_t)(l->host.p + l->host.n - l->base.p));
    int n = snprintf(target, sizeof target, "%.*s" CHANNEL, STR_ARG(path));
    if (l->seen >= 0)
        snprintf(target + n, sizeof target - (size_t)n, "?after=%lld", (long long)l->seen);
    struct buf more;
    buf_init(&more, 4096);
    buf_fmt(&more, "Authorization: Bearer %.*s\r\nUser-Agent: reli/1\r\n", STR_ARG(l->key));
    timer_set(l->loop, &l->quiet, ANSWER_US, on_quiet, l);
    client_begin(&l->client, l->host, str_c(target), buf_view(&more), &client_events, l);
    buf_free(&more);
}

/* ---- the command ---- */

static bool take_options(struct listen *l, int argc, char **argv)
{
    const char *after = tool_option(argc, argv, "--after");
    const char *events = tool_option(argc, argv, "--events");
    if (!tool_only(argc, argv, "--forward --after --events --secret --ca"))
        return false;
    l->target = tool_option(argc, argv, "--forward");
    l->secret = tool_option(argc, argv, "--secret");
    l->ca = tool_option(argc, argv, "--ca");
    l->events = str_c(events != NULL ? events : "*");
    l->seen = -1;
    return l->target != NULL &&
           (after == NULL || (str_to_i64(str_c(after), &l->seen) && l->seen >= 0));
}

static bool filter_ok(struct str filter)
{
    struct str word;
    bool ok = filter.n > 0;
    while (str_split(&filter, ',', &word))
        ok = ok && webhook_word_ok(word);
    return ok;
}

/* Says all that is wrong, in one go. */
static bool take_settings(struct listen *l)
{
    const char *url = getenv("RELI_URL"), *key = getenv("RELI_API_KEY");
    const char *bad[6];
    size_t n = 0;
    l->base = str_c(url != NULL ? url : "");
    while (l->base.n > 0 && l->base.p[l->base.n - 1] == '/')
        l->base.n--;
    l->key = str_c(key != NULL ? key : "");
    size_t host = str_find_str(l->base, STR("://"));
    l->host = str_from(l->base, host == SIZE_MAX ? l->base.n : host + 3);
    size_t slash = str_find(l->host, '/', 0);
    l->host = str_first(l->host, slash);
    if (!outbound_url_ok(l->base, true) || str_find(l->base, '?', 0) != SIZE_MAX ||
        l->base.n > TARGET_MAX / 2)
        bad[n++] = "RELI_URL is missing or no URL: where the service is, https://pay.example";
    if (l->key.n == 0 || l->key.n > 1024 || !str_is_printable_ascii(l->key))
        bad[n++] = "RELI_API_KEY is missing or no key";
    if (!outbound_url_ok(str_c(l->target), true))
        bad[n++] = "--forward is no URL";
    if (!filter_ok(l->events))
        bad[n++] =
            "--events has a word that is no type of event, nor payment.*, refund.*, payout.*";
    struct str secret = l->secret != NULL ? str_c(l->secret) : webhook_secret_make(&l->arena);
    if (err_is(webhook_key_parse(secret, &l->arena, &l->sign)))
        bad[n++] = "--secret is not whsec_ and 24 to 64 bytes in base64";
    else
        l->secret = arena_fmt(&l->arena, "%.*s", STR_ARG(secret)).p;
    if (l->ca != NULL && access(l->ca, R_OK) != 0)
        bad[n++] = "--ca is no file that can be read";
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "reli: %s\n", bad[i]);
    return n == 0;
}

static struct err listen_run(struct listen *l)
{
    struct outbound_options options = {.user_agent = "reli/1"};
    TRY(loop_new(&l->loop));
    TRY(loop_on_stop_signal(l->loop, interrupted, l));
    TRY(outbound_new(l->loop, &options, &l->outbound));
    printf("webhook_secret=%s\n", l->secret);
    dial(l);
    loop_run(l->loop);
    return ERR_OK;
}

/* Where to go on: behind what has been sent or passed over. */
static void close_all(struct listen *l)
{
    struct link *k = list_first(&l->waiting);
    int64_t next = k != NULL ? CONTAINER_OF(k, struct event, link)->position - 1 : l->seen;
    l->stopping = true;
    if (l->line != NULL)
        client_leave(&l->client);
    hang_up(l);
    timer_off(l->loop, &l->dial);
    timer_off(l->loop, &l->again);
    outbound_free(l->outbound);
    while ((k = list_pop(&l->waiting)) != NULL)
        free(CONTAINER_OF(k, struct event, link));
    if (next >= 0)
        fprintf(stderr, "reli: to go on from here: --after %lld\n", (long long)next);
    loop_run(l->loop);
    loop_free(l->loop);
}

int command_listen(int argc, char **argv)
{
    static struct listen l; /* large */
    list_init(&l.waiting);
    arena_init(&l.arena, 64 * 1024);
    if (!take_options(&l, argc, argv))
        return tool_usage(usage);
    setvbuf(stdout, NULL, _IOLBF, 0);
    log_open(STDERR_FILENO, LOG_WARN);
    struct err err = crypto_open();
    if (!err_is(err) && !take_settings(&l))
        err = ERR(CONFIG, NULL);
    if (!err_is(err))
        err = listen_run(&l);
    if (l.loop != NULL)
        close_all(&l);
    if (err_is(err) && err.code != ERR_CONFIG)
        fprintf(stderr, "reli: %s\n", err.what);
    crypto_close();
    arena_free(&l.arena);
    return err_is(err) ? (err.code == ERR_CONFIG ? 2 : 1) : l.code;
}
