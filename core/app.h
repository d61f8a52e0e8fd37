#ifndef RELI_APP_H
#define RELI_APP_H

#include "core/conf.h"

/* The running programs: each returns its exit code. */

/* `reli serve`: until SIGTERM or SIGINT, then drains. */
int app_serve(const struct conf *c);
/* `reli sandbox`. */
int app_sandbox(void);

#endif
