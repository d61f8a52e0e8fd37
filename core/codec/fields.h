#ifndef RELI_CODEC_FIELDS_H
#define RELI_CODEC_FIELDS_H

#include "core/base/arena.h"
#include "core/base/money.h"
#include "core/codec/json.h"

/* Strict reading of a client's object: every fault is collected with its parameter's name, so that
 * one answer names all of them. Readers return true when the field is present and right. */
enum { MAX_FIELD_ERRORS = 16 };

struct field_error {
    struct str param;
    const char *code; /* required, unknown, type, length, format, range */
    const char *message;
};

struct field_errors {
    struct arena *arena;
    size_t n;
    struct field_error list[MAX_FIELD_ERRORS];
};

void field_error(struct field_errors *e, struct str param, const char *code, const char *message);

enum field_need { OPTIONAL, REQUIRED };

/* An object under validation; `prefix` names it inside the body ("customer."), "" at the top. */
struct fields {
    const struct json *obj;
    const char *prefix;
    struct field_errors *errors;
};

/* Refuses every member that is not in `names` (NULL at the end). */
void fields_only(struct fields *f, const char *const *names);
/* A string of min..max characters, printable (no control characters). null counts as absent. */
bool fields_text(struct fields *f, const char *name, enum field_need need, size_t min, size_t max,
                 struct str *out);
/* A nested object; null counts as absent. */
bool fields_object(struct fields *f, const char *name, enum field_need need,
                   const struct json **out);
/* An amount of major units, number or string, above zero; `currency` may be 0 when that field was
 * wrong. */
bool fields_money(struct fields *f, const char *name, enum field_need need, uint16_t currency,
                  struct money *out);
bool fields_i64(struct fields *f, const char *name, enum field_need need, int64_t min, int64_t max,
                int64_t *out);
/* Records a fault of the field `name` of this object. */
void fields_fault(struct fields *f, const char *name, const char *code, const char *message);

#endif
