/* Passwords on the thread pool: what a thread needs is copied for it and wiped behind it. */
#include "core/flow/password_work.h"

#include <stdlib.h>

#include "core/base/metric.h"
#include "core/base/secret.h"
#include "core/base/times.h"
#include "core/loop/work.h"

static struct metric refused =
    METRIC_COUNTER("reli_password_work_refused_total", "",
                   "Passwords that were not looked at because too many were waiting");

struct passwords {
    struct work_pool *pool;
    struct list jobs;
};

struct job {
    struct link link;
    struct passwords *owner; /* NULL: whoever asked has been told */
    struct secret password;
    char hash[PASSWORD_HASH_TEXT];
    struct err err;
    bool right;
    password_hash_fn *hashed;
    password_check_fn *checked;
    void *ctx;
};

static struct err job_start(struct passwords *p, struct str password, const struct job *ask);
static void job_run(void *ctx);
static void job_worked(void *ctx, struct err err);
static void job_tell(struct job *j, struct err err);

struct err passwords_new(struct loop *l, struct passwords **out)
{
    static const struct work_pool_options o = {
        .at_once = PASSWORDS_AT_ONCE, .queue = PASSWORDS_WAITING, .wait_us = PASSWORDS_WAIT_US};
    struct passwords *p = calloc(1, sizeof *p);
    struct err err = ERR(NO_MEMORY, "passwords");
    if (p != NULL)
        err = work_pool_new(l, &o, &p->pool);
    if (err_is(err)) {
        free(p);
        return err;
    }
    list_init(&p->jobs);
    *out = p;
    return ERR_OK;
}

void passwords_free(struct passwords *p)
{
    if (p == NULL)
        return;
    /* a thread may still be at a job: it is freed when that is through */
    struct link *k;
    while ((k = list_first(&p->jobs)) != NULL)
        job_tell(LIST_ITEM(k, struct job, link), ERR(CANCELED, "passwords"));
    work_pool_free(p->pool);
    free(p);
}

struct err password_hash_start(struct passwords *p, struct str password, password_hash_fn *done,
                               void *ctx)
{
    struct job ask = {.hashed = done, .ctx = ctx};
    return job_start(p, password, &ask);
}

struct err password_check_start(struct passwords *p, struct str password, struct str hash,
                                password_check_fn *done, void *ctx)
{
    struct job ask = {.checked = done, .ctx = ctx};
    if (hash.n < sizeof ask.hash)
        str_copy_c(ask.hash, sizeof ask.hash, hash);
    return job_start(p, password, &ask);
}

static void job_free(struct job *j)
{
    secret_free(&j->password);
    explicit_bzero(j, sizeof *j);
    free(j);
}

static struct err job_start(struct passwords *p, struct str password, const struct job *ask)
{
    struct job *j = malloc(sizeof *j);
    if (j == NULL)
        return ERR(NO_MEMORY, "password");
    *j = *ask;
    j->owner = p;
    /* what does not fit need not be copied in full to be refused */
    struct err err = secret_set(&j->password, str_first(password, PASSWORD_MAX + 1));
    if (!err_is(err))
        err = work_start(p->pool, job_run, job_worked, j);
    if (err_is(err)) {
        if (err.code == ERR_OVERLOADED)
            metric_add(&refused, 1);
        job_free(j);
        return err;
    }
    list_push(&p->jobs, &j->link);
    return ERR_OK;
}

/* On a thread. */
static void job_run(void *ctx)
{
    struct job *j = ctx;
    struct str password = secret_view(&j->password);
    if (j->hashed != NULL) {
        j->err = password_hash(password, j->hash);
        return;
    }
    struct str hash = str_c(j->hash);
    j->right = password_check(password, hash);
}

static void job_worked(void *ctx, struct err err)
{
    struct job *j = ctx;
    if (err.code == ERR_TIMEOUT) {
        metric_add(&refused, 1);
        err = ERR(OVERLOADED, "no thread was free for a password");
    }
    if (j->owner != NULL)
        job_tell(j, err_is(err) ? err : j->err);
    job_free(j);
}

static void job_tell(struct job *j, struct err err)
{
    list_remove(&j->owner->jobs, &j->link);
    j->owner = NULL;
    if (j->hashed != NULL)
        j->hashed(j->ctx, err, err_is(err) ? STR_NULL : str_c(j->hash));
    else
        j->checked(j->ctx, err, !err_is(err) && j->right);
}
