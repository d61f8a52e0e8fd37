#ifndef RELI_GATEWAYS_SANDBOX_DARAJA_H
#define RELI_GATEWAYS_SANDBOX_DARAJA_H

#include "gateways/sandbox/daraja_check.h"
#include "gateways/sandbox/outcome.h"
#include "gateways/sandbox/sandbox_int.h"

/* M-Pesa Kenya as its REST API "Daraja" shows it: token, STK push, STK query. */
extern const struct sandbox_provider daraja_provider;

struct daraja_token;
struct daraja_url;

enum { DARAJA_N_ACCOUNTS = 2 };

struct daraja {
    struct sandbox *s;
    char *basic; /* the Authorization header of the token call */
    char *texts[5];
    struct daraja_account accounts[DARAJA_N_ACCOUNTS];
    struct daraja_token *tokens; /* by text; in order of issue */
    struct daraja_url *refused;  /* callback URLs whose push has met ANSWER_TOKEN_ONCE */
};

/* Answers in Daraja's error envelope. */
void daraja_refuse(struct daraja *d, struct http_exchange *x, struct call *call,
                   struct daraja_fault f);
/* True at the first call with that URL's hash. */
bool daraja_first_refusal(struct daraja *d, const char *url_hash);

/* daraja_push.c: the life of a push that has passed the checks; answers `x`. */
void daraja_push_begin(struct daraja *d, struct http_exchange *x, struct call *call,
                       const struct daraja_push *push, const struct daraja_account *account);
/* Answers a query about it. */
void daraja_push_query(struct daraja *d, struct http_exchange *x, struct call *call,
                       struct booking *b);
void daraja_push_called_back(void *state, struct booking *b);

#endif
