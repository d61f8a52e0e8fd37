/* What is sealed of a merchant's account, and the account that it makes. */
#include "core/codec/json.h"
#include "core/codec/jsonw.h"
#include "core/flow/account.h"
#include "store/rows.h"

void account_text_put(struct buf *b, const struct account_text *t)
{
    const struct gateway *g = t->gateway;
    struct jsonw w = jw_into(b);
    jw_open(&w);
    jw_c(&w, "provider", g->name);
    jw_str(&w, "mode", mode_word(t->live));
    jw_str(&w, "base_url", t->base_url);
    jw_str(&w, "callback_cidrs", t->callback_cidrs);
    jw_i64(&w, "rate_per_s", t->rate_per_s);
    jw_key(&w, "settings");
    jw_open(&w);
    for (size_t i = 0; i < g->n_settings; i++)
        if (t->settings[i].p != NULL)
            jw_str(&w, g->settings[i].name, t->settings[i]);
    jw_close(&w);
    jw_close(&w);
}

static struct str copy(struct arena *a, const struct json *j)
{
    struct str s = json_str(j);
    return s.p != NULL ? arena_dup(a, s) : STR_NULL;
}

struct err account_text_read(struct str plain, const struct gateway *g, bool live, struct arena *a,
                             struct account_text *out)
{
    struct json *j;
    TRY(json_parse(plain, &j, NULL));
    *out = (struct account_text){.gateway = g, .live = live};
    bool ours = str_eq(json_str(json_get(j, "provider")), str_c(g->name)) &&
                str_eq(json_str(json_get(j, "mode")), mode_word(live));
    out->base_url = copy(a, json_get(j, "base_url"));
    out->callback_cidrs = copy(a, json_get(j, "callback_cidrs"));
    bool whole = json_i64(json_get(j, "rate_per_s"), &out->rate_per_s);
    for (size_t i = 0; i < g->n_settings; i++)
        out->settings[i] = copy(a, json_path(j, "settings", g->settings[i].name, NULL));
    json_free(j);
    if (!ours)
        return ERR(CRYPTO, "sealed for another provider or mode");
    return whole ? ERR_OK : ERR(PARSE, "an account's settings are not understood");
}

struct err account_make(const struct flow *f, const struct account_text *t,
                        struct flow_account *out)
{
    const struct flow_account *ours = flow_account(f, str_c(t->gateway->name), t->live);
    const char *usual = t->gateway->default_base_url;
    *out = (struct flow_account){
        .gw = {.gateway = t->gateway,
               .timeout_us = f->settings.provider_timeout_us,
               .rate_per_s = (int)t->rate_per_s,
               .base_url = ours != NULL ? ours->gw.base_url : str_c(usual != NULL ? usual : "")},
        .live = t->live,
    };
    if (ours != NULL)
        out->gw.callback_cidrs = ours->gw.callback_cidrs;
    if (t->callback_cidrs.p != NULL)
        TRY(cidr_list_parse(t->callback_cidrs, &out->gw.callback_cidrs));
    if (t->base_url.p != NULL) {
        out->gw.public_only = !f->settings.webhook_allow_private;
        TRY(secret_set(&out->url, t->base_url));
        out->gw.base_url = secret_view(&out->url);
    }
    for (size_t i = 0; i < t->gateway->n_settings; i++)
        if (t->settings[i].n > 0)
            TRY(secret_set(&out->gw.settings[i], t->settings[i]));
    return ERR_OK;
}

void account_wipe(struct flow_account *a)
{
    for (size_t i = 0; i < GW_MAX_SETTINGS; i++)
        secret_free(&a->gw.settings[i]);
    secret_free(&a->url);
}
