/* Stored callbacks for people: what one said, and once more. */
#include "core/crypto/random.h"
#include "core/flow/callback.h"

bool callback_shown(struct flow *f, struct uuid merchant, struct uuid id, struct str provider,
                    struct str raw, struct arena *a, struct buf *out)
{
    const struct gateway *g = gateway_find(provider);
    struct str body;
    if (raw.n == 0 || g == NULL || g->redact == NULL ||
        err_is(vault_open(f->vault, "provider_event.raw", merchant, id, raw, a, &body)))
        return false;
    g->redact(body, out);
    return !out->failed;
}

void callback_again(struct flow *f, struct uuid merchant, struct uuid subject,
                    struct str dedupe_key, struct str actor, store_rows_fn *done, void *ctx)
{
    int64_t now = loop_wall_us(f->loop);
    struct value params[] = {
        V_UUID(merchant), V_UUID(subject),          V_BYTES(dedupe_key), V_I16(job_bucket(subject)),
        V_TIME(now),      V_UUID(random_uuid(now)), V_TEXT(actor)};
    store_exec(f->store, Q_callback_again, params, COUNT_OF(params), done, ctx);
}
