/* The delivery machine. One table names what may follow what; a delivery is only ever moved through
 * it. */
#include "core/domain/delivery.h"

#include "core/base/attr.h"
#include "core/base/times.h"

#define TO(name) (1u << DELIVERY_##name)

static const struct {
    const char *word;
    bool final;
} states[DELIVERY_N_STATES] = {
#define X(name, word, final) [DELIVERY_##name] = {word, final},
    DELIVERY_STATES(X)
#undef X
};

static const unsigned next[DELIVERY_N_STATES] = {
    [DELIVERY_SCHEDULED] = TO(SENDING) | TO(CANCELLED),
    /* to itself: whoever was sending is gone */
    [DELIVERY_SENDING] = TO(SENDING) | TO(RETRY) | TO(DELIVERED) | TO(DEAD) | TO(CANCELLED),
    [DELIVERY_RETRY] = TO(SENDING) | TO(CANCELLED),
};

const char *delivery_status_word(enum delivery_status s)
{
    ASSERT((unsigned)s < DELIVERY_N_STATES);
    return states[s].word;
}

bool delivery_status_parse(struct str word, enum delivery_status *out)
{
    for (int i = 0; i < DELIVERY_N_STATES; i++) {
        if (str_eq(word, str_c(states[i].word))) {
            *out = (enum delivery_status)i;
            return true;
        }
    }
    return false;
}

bool delivery_status_final(enum delivery_status s)
{
    ASSERT((unsigned)s < DELIVERY_N_STATES);
    return states[s].final;
}

bool delivery_may_move(enum delivery_status from, enum delivery_status to)
{
    ASSERT((unsigned)from < DELIVERY_N_STATES && (unsigned)to < DELIVERY_N_STATES);
    return (next[from] & (1u << to)) != 0;
}

void delivery_rules_default(struct delivery_rules *r)
{
    *r = (struct delivery_rules){
        .waits = {.n = 5,
                  .wait_us = {US_PER_MIN, 5 * US_PER_MIN, 15 * US_PER_MIN, US_PER_HOUR,
                              6 * US_PER_HOUR}},
        .lease_us = US_PER_MIN,
        .retry_after_max_us = US_PER_DAY,
    };
}

static void move(struct delivery *d, enum delivery_status to, int64_t next_at_us)
{
    ASSERT(delivery_may_move(d->status, to));
    d->status = to;
    d->next_at_us = next_at_us;
}

/* A try counts when it begins: one that takes its process with it is not made for ever. */
struct err delivery_take(struct delivery *d, const struct delivery_rules *r, int64_t now_us)
{
    if (!delivery_may_move(d->status, DELIVERY_SENDING))
        return ERR(INVALID_STATE, "the delivery is over");
    if (d->status == DELIVERY_SENDING && d->next_at_us > now_us)
        return ERR(INVALID_STATE, "the delivery is being sent");
    move(d, DELIVERY_SENDING, now_us + r->lease_us);
    d->tries++;
    return ERR_OK;
}

/* `us` changed by up to a fifth, as Standard Webhooks senders do; 16 bits of `random`, so that
 * nothing overflows. */
static int64_t spread(int64_t us, uint32_t random)
{
    int64_t part = (int64_t)(random >> 16), span = us / 5 * 2;
    return us - us / 5 + (span >> 16) * part + (((span & 0xffff) * part) >> 16);
}

/* What the endpoint asked for, within reason; 0 if nothing. */
static int64_t asked_wait_us(const struct delivery_rules *r, const struct delivery_outcome *o)
{
    if (o->http_status == 0 || o->retry_after_s <= 0)
        return 0;
    if (o->retry_after_s >= r->retry_after_max_us / US_PER_S)
        return r->retry_after_max_us;
    return o->retry_after_s * US_PER_S;
}

struct err delivery_done(struct delivery *d, const struct delivery_rules *r,
                         const struct delivery_outcome *o, int64_t now_us,
                         struct delivery_effects *out)
{
    *out = (struct delivery_effects){0};
    if (d->status != DELIVERY_SENDING || d->tries < 1)
        return ERR(INVALID_STATE, "the delivery is not being sent");
    if (o->http_status >= 200 && o->http_status <= 299) {
        out->succeeded = true;
        move(d, DELIVERY_DELIVERED, TIME_NEVER);
        return ERR_OK;
    }
    if (o->endpoint_gone) {
        if (o->http_status == 0)
            d->tries--; /* nothing was sent */
        move(d, DELIVERY_CANCELLED, TIME_NEVER);
        return ERR_OK;
    }
    out->failed = true;
    out->disable_endpoint = o->http_status == 410;
    int64_t wait_us = schedule_wait_us(&r->waits, d->tries - 1);
    if (out->disable_endpoint || wait_us == TIME_NEVER) {
        move(d, DELIVERY_DEAD, TIME_NEVER);
        return ERR_OK;
    }
    wait_us = spread(wait_us, o->random);
    int64_t asked_us = asked_wait_us(r, o);
    move(d, DELIVERY_RETRY, now_us + (asked_us > wait_us ? asked_us : wait_us));
    return ERR_OK;
}
