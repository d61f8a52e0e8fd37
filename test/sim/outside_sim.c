/* gateways/outbound.h as the webhooks of the flows meet it: receivers that answer, fail, or are
 * gone for good. And Redis, which is not there; nor are there limits on requests. */
#include "core/base/times.h"
#include "core/flow/throttle.h"
#include "store/redis.h"
#include "test/sim/heap.h"
#include "test/sim/mem.h"
#include "test/sim/parts.h"

enum throttle_answer throttle_take(struct flow *f, enum throttle_class class, struct str subject,
                                   struct throttle_state *state, struct throttle_wait *wait)
{
    (void)f, (void)class, (void)subject, (void)wait;
    *state = (struct throttle_state){0};
    return THROTTLE_PASS;
}

struct outbound {
    struct process *process;
};

/* A request under way. */
struct outbound_call {
    struct process *process;
    struct uuid event;
    struct str url;
    struct outbound_response response;
    outbound_fn *done;
    void *ctx;
};

/* What was taken with 2xx. */
struct taken {
    struct uuid event;
    struct str url;
};

static struct {
    size_t n;
    struct taken taken[4096];
} receiver;

void receiver_begin(void)
{
    receiver.n = 0;
}

struct outbound *receiver_outbound(struct process *p)
{
    struct outbound *o = world_alloc(sizeof *o);
    o->process = p;
    return o;
}

int receiver_n_taken(struct uuid event, struct str url)
{
    int n = 0;
    for (size_t i = 0; i < receiver.n; i++)
        n += uuid_eq(receiver.taken[i].event, event) && str_eq(receiver.taken[i].url, url);
    return n;
}

static struct str header(const struct outbound_request *rq, struct str name)
{
    for (size_t i = 0; i < rq->n_headers; i++) {
        struct str h = str_c(rq->headers[i]);
        if (str_starts(h, name))
            return str_from(h, name.n);
    }
    return STR_NULL;
}

/* What leaves is the event as it was committed: its id, its seq, its type, and a signature. */
static void request_check(const struct outbound_request *rq, struct uuid *event)
{
    struct str id = header(rq, STR("webhook-id: "));
    const struct mem_event *e = NULL;
    if (!uuid_parse(id, event)) {
        sim_violation("a webhook without an id");
        return;
    }
    for (size_t i = 0; i < mem.n_events; i++)
        if (uuid_eq(mem.events[i].id, *event))
            e = &mem.events[i];
    if (e == NULL) {
        sim_violation("a webhook of no event");
        return;
    }
    struct buf b;
    buf_init(&b, 128);
    buf_fmt(&b, "\"type\":\"%.*s\",\"seq\":%d,", STR_ARG(e->type), (int)e->seq);
    if (str_find_str(rq->body, buf_view(&b)) == SIZE_MAX)
        sim_violation("a webhook's body is not its event's");
    buf_free(&b);
    if (!str_starts(header(rq, STR("webhook-signature: ")), STR("v1,")))
        sim_violation("a webhook without a signature");
}

static void told(void *ctx)
{
    struct outbound_call *call = ctx;
    call->done(call->ctx, &call->response);
}

static void arrives(void *ctx)
{
    struct outbound_call *call = ctx;
    int64_t us = sim_between(US_PER_MS, 500 * US_PER_MS);
    struct outbound_response *r = &call->response;
    *r = (struct outbound_response){
        .outcome = OUTBOUND_ANSWERED, .status = 200, .retry_after_s = -1, .took_us = us};
    bool failed = sim_fault(FAULT_WEBHOOK_FAILED);
    uint32_t how = failed ? sim_below(4) : 0;
    if (!failed && sim_fault(FAULT_WEBHOOK_GONE)) {
        r->status = 410;
    } else if (failed && how == 0) {
        r->status = 500;
    } else if (failed && how == 1) {
        r->status = 429;
        r->retry_after_s = sim_between(1, 1000);
    } else if (failed) { /* taken or not: the answer does not come */
        r->outcome = how == 2 ? OUTBOUND_UNKNOWN : OUTBOUND_NOT_SENT;
        r->status = 0;
        r->error = "simulated";
        us = sim_between(US_PER_S, 15 * US_PER_S);
    }
    if (r->status == 200) {
        ASSERT(receiver.n < COUNT_OF(receiver.taken));
        receiver.taken[receiver.n++] = (struct taken){call->event, call->url};
    }
    event_in(us, call->process, told, call);
}

struct err outbound_start(struct outbound *o, const struct outbound_request *request,
                          outbound_fn *done, void *ctx, struct outbound_call **out)
{
    struct outbound_call *call = world_alloc(sizeof *call);
    *call = (struct outbound_call){
        .process = o->process, .url = world_dup(str_c(request->url)), .done = done, .ctx = ctx};
    request_check(request, &call->event);
    event_in(sim_between(US_PER_MS, 200 * US_PER_MS), NULL, arrives, call);
    *out = call;
    return ERR_OK;
}

/* ---- store/redis.h: flow.redis is NULL ---- */

bool redis_up(const struct redis *r)
{
    (void)r;
    return false;
}

void redis_publish(struct redis *r, struct str channel, struct str payload)
{
    (void)r, (void)channel, (void)payload;
    ASSERT(false);
}
