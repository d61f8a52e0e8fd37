/* The first look at an answer. See answer.h. */
#include "gateways/answer.h"

void gw_unknown(struct gw_result *out, const char *why)
{
    *out = (struct gw_result){.verdict = GW_UNKNOWN,
                              .retry_later = out->retry_later,
                              .provider_code = out->provider_code,
                              .message = out->message,
                              .provider_ref = out->provider_ref,
                              .our_id = out->our_id,
                              .why = why};
}

struct json *gw_answer_json(const struct outbound_response *in, struct gw_result *out)
{
    struct json *root;
    *out = (struct gw_result){.verdict = GW_UNKNOWN};
    if (in->outcome != OUTBOUND_ANSWERED) {
        gw_unknown(out, in->error != NULL ? in->error : "no complete answer");
        return NULL;
    }
    if (err_is(json_parse(in->body, &root, NULL))) {
        gw_unknown(out, "the answer is no JSON");
        return NULL;
    }
    return root;
}

struct json *gw_order_json(const struct outbound_response *in, struct gw_result *out)
{
    if (in->outcome != OUTBOUND_NOT_SENT)
        return gw_answer_json(in, out);
    *out = (struct gw_result){
        .verdict = GW_REFUSED, .code = FAILURE_PROVIDER_UNAVAILABLE, .retry_later = true};
    return NULL;
}

struct str gw_words(struct arena *mem, struct str s, size_t max)
{
    size_t n = s.n;
    if (n > max) {
        n = max;
        while (n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80)
            n--;
    }
    char *p = arena_alloc(mem, n + 1);
    if (p == NULL)
        return STR_NULL;
    for (size_t i = 0; i < n; i++)
        p[i] = (char)((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? ' ' : s.p[i]);
    return str_n(p, n);
}
