/* Which build this is. */
#include "core/version.h"

const char *const reli_version = RELI_VERSION;
