#ifndef RELI_GATEWAYS_SANDBOX_ENV_H
#define RELI_GATEWAYS_SANDBOX_ENV_H

#include "gateways/sandbox/sandbox.h"

/* The sandbox's options from RELI_SANDBOX_* and SANDBOX_* variables (README.md). Borrowed from the
 * environment. */
struct sandbox_options sandbox_options_env(void);

#endif
