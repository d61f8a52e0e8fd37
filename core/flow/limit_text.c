/* Limits on money between JSON, rows and values. */
#include "core/flow/limit_text.h"

static void read_limit(struct fields *f, struct limit_rule *r)
{
    static const char *const names[] = {
        "currency", "scope", "payment_method", "window", "max_amount", "max_count", NULL};
    size_t before = f->errors->n;
    struct str word;
    struct money max = {0};
    *r = (struct limit_rule){0};
    fields_only(f, names);
    if (fields_text(f, "currency", REQUIRED, 3, 3, &word) &&
        (r->currency = currency_parse(word)) == 0)
        fields_fault(f, "currency", "format", "Must be an ISO 4217 code such as KES.");
    if (fields_text(f, "scope", REQUIRED, 1, 16, &word) && !limit_scope_parse(word, &r->scope))
        fields_fault(f, "scope", "format", "Must be merchant, customer or method.");
    if (fields_text(f, "window", REQUIRED, 1, 16, &word) && !limit_span_parse(word, &r->span))
        fields_fault(f, "window", "format", "Must be single, daily or monthly.");
    if (fields_text(f, "payment_method", OPTIONAL, 1, LIMIT_METHOD_MAX, &word)) {
        for (size_t i = 0; i < word.n; i++)
            if (!ascii_is_alpha(word.p[i]) && !ascii_is_digit(word.p[i]) && word.p[i] != '_' &&
                word.p[i] != '-') {
                fields_fault(f, "payment_method", "format", "Is not the name of a method.");
                break;
            }
        str_copy_c(r->method, sizeof r->method, word);
    }
    if (fields_money(f, "max_amount", OPTIONAL, r->currency, &max))
        r->max_minor = max.minor;
    (void)fields_i64(f, "max_count", OPTIONAL, 1, LIMIT_COUNT_MAX, &r->max_count);
    const char *fault = f->errors->n == before ? limit_rule_fault(r) : NULL;
    if (fault != NULL)
        fields_fault(f, r->method[0] != '\0' ? "payment_method" : "max_amount", "range", fault);
}

void limits_read(const struct json *list, struct field_errors *errors, struct limit_rules *out)
{
    *out = (struct limit_rules){0};
    if (json_kind(list) != JSON_ARR) {
        field_error(errors, STR("limits"), json_kind(list) == JSON_ABSENT ? "required" : "type",
                    "Send a list.");
        return;
    }
    if (json_n(list) > LIMIT_RULES_MAX) {
        field_error(errors, STR("limits"), "length", "At most 40 limits.");
        return;
    }
    for (; out->n < (int)json_n(list); out->n++) {
        const struct json *item = json_at(list, (size_t)out->n);
        struct limit_rule *rule = &out->rule[out->n];
        struct str name = arena_fmt(errors->arena, "limits[%d]", out->n),
                   prefix = arena_fmt(errors->arena, "limits[%d].", out->n);
        struct fields f = {item, prefix.p != NULL ? prefix.p : "limits.", errors};
        if (json_kind(item) != JSON_OBJ) {
            field_error(errors, name, "type", "Send an object.");
            continue;
        }
        read_limit(&f, rule);
        for (int i = 0; i < out->n; i++)
            if (rule->currency != 0 && limit_rule_same(rule, &out->rule[i]))
                field_error(errors, name, "range", "Another limit is about the same.");
    }
}

void limits_put(struct jsonw *w, const struct limit_rules *rules)
{
    jw_open_list(w);
    for (int i = 0; i < rules->n; i++) {
        const struct limit_rule *r = &rules->rule[i];
        char currency[CURRENCY_TEXT];
        jw_open(w);
        jw_c(w, "currency", currency_text(r->currency, currency));
        jw_c(w, "scope", limit_scope_word(r->scope));
        if (r->method[0] != '\0')
            jw_c(w, "payment_method", r->method);
        else
            jw_null(w, "payment_method");
        jw_c(w, "window", limit_span_word(r->span));
        if (r->max_minor > 0)
            jw_money(w, "max_amount", (struct money){r->max_minor, r->currency});
        else
            jw_null(w, "max_amount");
        if (r->max_count > 0)
            jw_i64(w, "max_count", r->max_count);
        else
            jw_null(w, "max_count");
        jw_close(w);
    }
    jw_close_list(w);
}

void limits_put_stored(struct jsonw *w, const struct limit_rules *rules)
{
    jw_open_list(w);
    for (int i = 0; i < rules->n; i++) {
        const struct limit_rule *r = &rules->rule[i];
        char currency[CURRENCY_TEXT];
        jw_open(w);
        jw_c(w, "currency", currency_text(r->currency, currency));
        jw_c(w, "scope", limit_scope_word(r->scope));
        jw_c(w, "method", r->method);
        jw_c(w, "span", limit_span_word(r->span));
        if (r->max_minor > 0)
            jw_i64(w, "max_amount", r->max_minor);
        if (r->max_count > 0)
            jw_i64(w, "max_count", r->max_count);
        jw_close(w);
    }
    jw_close_list(w);
}

bool limit_rule_of(const struct rows *r, size_t row, int col, struct limit_rule *out)
{
    *out = (struct limit_rule){
        .currency = currency_parse(rows_str(r, row, col)),
        .max_minor = rows_i64(r, row, col + 4),
        .max_count = rows_i64(r, row, col + 5),
    };
    str_copy_c(out->method, sizeof out->method, rows_str(r, row, col + 2));
    return out->currency != 0 && limit_scope_parse(rows_str(r, row, col + 1), &out->scope) &&
           limit_span_parse(rows_str(r, row, col + 3), &out->span);
}
