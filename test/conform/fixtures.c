/* The fixtures, one for each provider. */
#include "test/conform/conform.h"

extern const struct fixture fixture_cash, fixture_cpay, fixture_mpesa, fixture_stripe;

const struct fixture *const fixtures[] = {&fixture_mpesa, &fixture_cpay, &fixture_stripe,
                                          &fixture_cash, NULL};

const struct fixture *fixture_find(const char *name)
{
    for (size_t i = 0; fixtures[i] != NULL; i++)
        if (strcmp(fixtures[i]->name, name) == 0)
            return fixtures[i];
    return NULL;
}
