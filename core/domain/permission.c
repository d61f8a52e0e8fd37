/* The matrix of core/domain/permission.h, read by scope and by role. */
#include "core/domain/permission.h"

#include <string.h>

static const char role_letters[] = "oapvs", staff_letters[] = "OAPVS";

static const struct {
    const char *word, *roles;
    enum scope scope;
} matrix[PERM_N] = {
#define X(name, word, scope, roles) [PERM_##name] = {word, roles, scope},
    PERMISSIONS(X)
#undef X
};

static const char *const scope_words[SCOPE_STAR] = {
#define X(name, word) [SCOPE_##name] = word,
    PERMISSION_SCOPES(X)
#undef X
};

static const char *const role_words[ROLE_N] = {
#define X(name, word) word,
    PERMISSION_ROLES(X)
#undef X
};

static uint64_t of_scope(enum scope scope)
{
    uint64_t set = 0;
    for (enum permission p = PERM_NONE + 1; p < PERM_N; p++)
        if (matrix[p].scope != SCOPE_NEVER && (scope == SCOPE_STAR || matrix[p].scope == scope))
            set |= permission_bit(p);
    return set;
}

bool permission_of_scopes(struct str scopes, uint64_t *set)
{
    struct str rest = scopes, word;
    *set = 0;
    while (str_split(&rest, ',', &word)) {
        enum scope found = str_eq(word, STR("*")) ? SCOPE_STAR : SCOPE_NEVER;
        for (enum scope s = SCOPE_NEVER + 1; s < SCOPE_STAR; s++)
            if (str_eq(word, str_c(scope_words[s])))
                found = s;
        if (found == SCOPE_NEVER)
            return false;
        *set |= of_scope(found);
    }
    return *set != 0;
}

uint64_t permission_of_role(enum role role, bool staff)
{
    uint64_t set = 0;
    for (enum permission p = PERM_NONE + 1; p < PERM_N; p++)
        if (strchr(matrix[p].roles, role_letters[role]) != NULL ||
            (staff && strchr(matrix[p].roles, staff_letters[role]) != NULL))
            set |= permission_bit(p);
    return set;
}

uint64_t permission_of_reading(void)
{
    uint64_t set = permission_bit(PERM_SELF);
    for (enum permission p = PERM_NONE + 1; p < PERM_N; p++)
        if (str_ends(str_c(matrix[p].word), STR(".read")))
            set |= permission_bit(p);
    return set;
}

uint64_t permission_of_platform(void)
{
    static const enum permission list[] = {
        PERM_SELF,           PERM_MEMBERS_READ,    PERM_MEMBERS_WRITE, PERM_SECURITY_READ,
        PERM_MERCHANTS_READ, PERM_MERCHANTS_WRITE, PERM_MAINTENANCE};
    uint64_t set = 0;
    for (size_t i = 0; i < COUNT_OF(list); i++)
        set |= permission_bit(list[i]);
    return set;
}

bool permission_is_admin(enum permission p)
{
    return p != PERM_NONE && p != PERM_SELF &&
           (matrix[p].scope == SCOPE_NEVER || matrix[p].scope == SCOPE_STAR);
}

bool role_parse(struct str word, enum role *role)
{
    for (enum role r = 0; r < ROLE_N; r++)
        if (str_eq(word, str_c(role_words[r]))) {
            *role = r;
            return true;
        }
    return false;
}

const char *role_word(enum role role)
{
    return role_words[role];
}

const char *permission_word(enum permission p)
{
    return p == PERM_NONE ? "public" : matrix[p].word;
}
