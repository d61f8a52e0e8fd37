/* Card numbers end here, whatever field they are in. */
#include "http/cards.h"

#include "core/domain/card.h"

/* Where in the body: "" is the body itself. The path of what was found is put together on the way
 * back. */
struct place {
    const struct place *above;
    struct str name;
};

struct search {
    struct arena *arena;
    struct str found;
};

static bool search(struct search *s, const struct json *j, const struct place *at);

static bool named(const struct place *at, struct str name)
{
    return at != NULL && str_eq(at->name, name);
}

static bool at_top(const struct place *at)
{
    return at->above != NULL && at->above->above == NULL;
}

/* A receipt is the provider's own number. */
static bool is_receipt(const struct place *at)
{
    return at_top(at) && named(at, STR("provider_receipt"));
}

static bool is_phone(const struct place *at)
{
    return named(at, STR("phone")) &&
           (at_top(at) || (at_top(at->above) && named(at->above, STR("customer"))));
}

static bool found(struct search *s, const struct place *at)
{
    for (; at->above != NULL; at = at->above) {
        struct str longer = s->found.n == 0 ? at->name
                                            : arena_fmt(s->arena, "%.*s.%.*s", STR_ARG(at->name),
                                                        STR_ARG(s->found));
        s->found = longer.p != NULL ? longer : at->name;
    }
    return true;
}

static bool search_members(struct search *s, const struct json *object, const struct place *at)
{
    struct json_iter it = {0};
    while (json_next(object, &it)) {
        if (card_in_text(it.name)) /* and is not repeated */
            return found(s, at);
        struct place inner = {at, it.name};
        if (search(s, it.value, &inner))
            return true;
    }
    return false;
}

static bool search(struct search *s, const struct json *j, const struct place *at)
{
    char text[JSON_NUMBER_TEXT];
    bool is = false;
    switch (json_kind(j)) {
    case JSON_STR:
        if (!is_receipt(at))
            is = is_phone(at) ? card_in_phone(json_str(j)) : card_in_text(json_str(j));
        break;
    case JSON_INT:
    case JSON_REAL_:
        is = card_in_number(json_number_text(j, text));
        break;
    case JSON_ARR:
        for (size_t i = 0; i < json_n(j); i++)
            if (search(s, json_at(j, i), at))
                return true;
        break;
    case JSON_OBJ:
        return search_members(s, j, at);
    case JSON_ABSENT:
    case JSON_KIND_NULL:
    case JSON_BOOL:
        break;
    }
    return is && found(s, at);
}

bool card_refused(struct http_exchange *x, const struct json *body)
{
    struct search s = {x->arena, STR("")};
    struct field_errors errors = {.arena = x->arena};
    const struct place top = {NULL, STR("")};
    if (!search(&s, body, &top))
        return false;
    field_error(&errors, s.found.n > 0 ? s.found : STR("(body)"), "unsupported",
                "Holds a card number.");
    http_problem_fields(x, ERR(CARD_NUMBER_REFUSED, NULL),
                        "A field holds a card number. Nothing was kept of the request.", &errors);
    return true;
}
