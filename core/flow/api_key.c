/* What an API key is made of, and that it never is more than its maker. */
#include "core/flow/api_key.h"

#include "core/base/address.h"

enum {
    C_ID,
    C_MODE,
    C_NAME,
    C_PREFIX,
    C_SCOPES,
    C_CIDRS,
    C_STATUS,
    C_EXPIRES,
    C_LAST_USED,
    C_CREATED,
    C_UPDATED,
    C_VERSION,
    C_CREATED_BY
};

struct err api_key_read(const struct rows *r, size_t row, struct arena *a, struct api_key *out)
{
    struct {
        int column;
        struct str *to;
    } texts[] = {{C_MODE, &out->mode},
                 {C_NAME, &out->name},
                 {C_PREFIX, &out->prefix},
                 {C_SCOPES, &out->scopes},
                 {C_CIDRS, &out->cidrs},
                 {C_STATUS, &out->status},
                 {C_CREATED_BY, &out->created_by}};
    *out = (struct api_key){
        .id = rows_uuid(r, row, C_ID),
        .expires_us = rows_time(r, row, C_EXPIRES),
        .last_used_us = rows_time(r, row, C_LAST_USED),
        .created_us = rows_time(r, row, C_CREATED),
        .updated_us = rows_time(r, row, C_UPDATED),
        .version = (int32_t)rows_i64(r, row, C_VERSION),
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (rows_null(r, row, texts[i].column))
            continue;
        *texts[i].to = arena_dup(a, rows_str(r, row, texts[i].column));
        if (texts[i].to->p == NULL)
            return ERR(NO_MEMORY, "api key");
    }
    return ERR_OK;
}

const char *api_key_status(const struct api_key *k, int64_t now_us)
{
    if (str_eq(k->status, STR("revoked")))
        return "revoked";
    if (k->expires_us != 0 && k->expires_us <= now_us)
        return "expired";
    return str_eq(k->status, STR("rotating")) ? "rotating" : "active";
}

void api_key_put(struct jsonw *w, const struct api_key *k, struct str secret, int64_t now_us)
{
    jw_open(w);
    jw_uuid(w, "id", k->id);
    jw_c(w, "object", "api_key");
    jw_str(w, "mode", k->mode);
    jw_str(w, "name", k->name);
    jw_str(w, "prefix", k->prefix);
    jw_words(w, "scopes", k->scopes);
    jw_words(w, "cidrs", k->cidrs);
    jw_c(w, "status", api_key_status(k, now_us));
    jw_time(w, "expires_at", k->expires_us);
    jw_time(w, "last_used_at", k->last_used_us);
    jw_str(w, "created_by", person_own(k->created_by));
    jw_time(w, "created_at", k->created_us);
    jw_time(w, "updated_at", k->updated_us);
    if (secret.n > 0)
        jw_str(w, "key", secret);
    jw_close(w);
}

bool api_key_networks(struct str text, struct arena *a, struct str *out)
{
    struct cidr_list list;
    struct buf b;
    char one[CIDR_TEXT];
    if (err_is(cidr_list_parse(text, &list)) || list.has_unix || list.n == 0 ||
        list.n > API_KEY_CIDRS_MAX)
        return false;
    buf_init(&b, API_KEY_CIDRS_MAX * (CIDR_TEXT + 1));
    for (size_t i = 0; i < list.n; i++)
        buf_fmt(&b, "%s%s", i > 0 ? "," : "", cidr_text(&list.item[i], one));
    *out = arena_dup(a, buf_view(&b));
    bool whole = !b.failed && out->p != NULL;
    buf_free(&b);
    return whole;
}

static bool networks_within(struct str wanted, struct str allowed)
{
    struct cidr_list inner, outer;
    if (allowed.p == NULL)
        return true;
    if (wanted.p == NULL || err_is(cidr_list_parse(wanted, &inner)) ||
        err_is(cidr_list_parse(allowed, &outer)))
        return false;
    for (size_t i = 0; i < inner.n; i++) {
        size_t k = 0;
        while (k < outer.n && !cidr_within(&inner.item[i], &outer.item[k]))
            k++;
        if (k == outer.n)
            return false;
    }
    return true;
}

bool api_key_within(uint64_t may, const struct api_key *maker, const struct api_key *wanted)
{
    uint64_t set;
    if (!permission_of_scopes(wanted->scopes, &set) || (set & ~may) != 0)
        return false;
    if (maker == NULL)
        return true;
    if (maker->expires_us != 0 &&
        (wanted->expires_us == 0 || wanted->expires_us > maker->expires_us))
        return false;
    return networks_within(wanted->cidrs, maker->cidrs);
}
