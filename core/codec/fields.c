/* Validation of what clients send, field by field. */
#include "core/codec/fields.h"

void field_error(struct field_errors *e, struct str param, const char *code, const char *message)
{
    if (e->n < MAX_FIELD_ERRORS)
        e->list[e->n++] = (struct field_error){arena_dup(e->arena, param), code, message};
}

void fields_fault(struct fields *f, const char *name, const char *code, const char *message)
{
    struct str param = arena_fmt(f->errors->arena, "%s%s", f->prefix, name);
    field_error(f->errors, param, code, message);
}

void fields_only(struct fields *f, const char *const *names)
{
    struct json_iter it = {0};
    while (json_next(f->obj, &it)) {
        bool known = false;
        for (size_t i = 0; names[i] != NULL && !known; i++)
            known = str_eq(it.name, str_c(names[i]));
        if (!known) {
            char shown[65];
            fields_fault(f, str_copy_c(shown, sizeof shown, it.name), "unknown",
                         "No such field. Check the spelling.");
        }
    }
}

/* The member, or NULL when absent or null; faults a required one. */
static const struct json *member(struct fields *f, const char *name, enum field_need need)
{
    const struct json *j = json_get(f->obj, name);
    if (json_kind(j) == JSON_KIND_NULL)
        j = NULL;
    if (j == NULL && need == REQUIRED)
        fields_fault(f, name, "required", "This field is required.");
    return j;
}

static void fault_of_length(struct fields *f, const char *name, size_t min, size_t max)
{
    struct str words =
        min == max ? arena_fmt(f->errors->arena, "Must have %zu characters.", min)
                   : arena_fmt(f->errors->arena, "Must have %zu to %zu characters.", min, max);
    fields_fault(f, name, "length", words.p != NULL ? words.p : "Too short or too long.");
}

bool fields_text(struct fields *f, const char *name, enum field_need need, size_t min, size_t max,
                 struct str *out)
{
    const struct json *j = member(f, name, need);
    if (j == NULL)
        return false;
    if (json_kind(j) != JSON_STR) {
        fields_fault(f, name, "type", "Must be a string.");
        return false;
    }
    struct str s = json_str(j);
    size_t n = utf8_count(s);
    if (n < min || n > max) {
        fault_of_length(f, name, min, max);
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
            fields_fault(f, name, "format", "Must not hold control characters.");
            return false;
        }
    }
    *out = s;
    return true;
}

bool fields_object(struct fields *f, const char *name, enum field_need need,
                   const struct json **out)
{
    const struct json *j = member(f, name, need);
    if (j == NULL)
        return false;
    if (json_kind(j) != JSON_OBJ) {
        fields_fault(f, name, "type", "Must be an object.");
        return false;
    }
    *out = j;
    return true;
}

bool fields_money(struct fields *f, const char *name, enum field_need need, uint16_t currency,
                  struct money *out)
{
    const struct json *j = member(f, name, need);
    if (j == NULL)
        return false;
    char text[JSON_NUMBER_TEXT];
    enum json_kind kind = json_kind(j);
    if (kind != JSON_STR && kind != JSON_INT && kind != JSON_REAL_) {
        fields_fault(f, name, "type", "Must be a number or a string.");
        return false;
    }
    if (currency == 0)
        return false; /* the currency's own fault is the one to mend first */
    struct str digits = json_number_text(j, text);
    struct err e = money_parse(digits, currency, out);
    if (e.code == ERR_PARSE) {
        fields_fault(f, name, "format",
                     "Must be a plain decimal number above zero, such as 1000.00, with at most the "
                     "currency's decimals.");
        return false;
    }
    if (err_is(e) || out->minor <= 0) {
        fields_fault(f, name, "range", "Must be above zero and below 10^15 minor units.");
        return false;
    }
    return true;
}

bool fields_i64(struct fields *f, const char *name, enum field_need need, int64_t min, int64_t max,
                int64_t *out)
{
    const struct json *j = member(f, name, need);
    if (j == NULL)
        return false;
    int64_t v;
    if (!json_i64(j, &v)) {
        fields_fault(f, name, "type", "Must be an integer.");
        return false;
    }
    if (v < min || v > max) {
        fields_fault(f, name, "range", "Out of range.");
        return false;
    }
    *out = v;
    return true;
}
