#ifndef RELI_FLOW_MAINTENANCE_H
#define RELI_FLOW_MAINTENANCE_H

#include "core/flow/flow.h"

/* Maintenance: no new payments and payouts are taken, all else goes on. Switched for all replicas
 * by staff or the command line, each of which reads it every second; or by RELI_MAINTENANCE for one
 * process alone. */
enum { MAINTENANCE_MESSAGE_MAX = 200, MAINTENANCE_TEXT = 4 * MAINTENANCE_MESSAGE_MAX + 1 };

struct maintenance {
    bool forced; /* by RELI_MAINTENANCE */
    bool known;  /* the row has been read */
    /* as it was read last; while the database is away it stays as it was */
    bool on;
    char message[MAINTENANCE_TEXT]; /* for clients; empty: none */
    char by[64];
    int64_t since_us; /* wall, of the last change; 0: never switched */
    struct timer timer;
    bool stopped;
};

/* Whether new payments are refused; also before the first look, for which /readyz waits. */
static inline bool maintenance_on(const struct flow *f)
{
    const struct maintenance *m = f->maintenance;
    return m != NULL && (m->forced || m->on || !m->known);
}

/* What clients are told with 503 `maintenance`. */
static inline const char *maintenance_words(const struct flow *f)
{
    return f->maintenance->on && f->maintenance->message[0] != '\0'
               ? f->maintenance->message
               : "No payments are taken at present.";
}

/* Starts reading. */
struct err maintenance_new(struct flow *f, bool forced) MUST_USE;
/* Takes a row of maintenance_get or maintenance_set. */
void maintenance_take(struct maintenance *m, const struct rows *r);
void maintenance_stop(struct flow *f);
void maintenance_free(struct flow *f);

#endif
