#ifndef RELI_FLOW_BALANCE_H
#define RELI_FLOW_BALANCE_H

#include "core/flow/flow.h"

/* What a merchant's account has at its provider. Some providers answer at once; others later, to a
 * URL of the account: the question is then kept, and answered by whoever asks again. */

enum balance_state { BALANCE_KNOWN, BALANCE_PENDING, BALANCE_FAILED };

struct balance_view {
    enum balance_state state;
    struct uuid account;
    struct str balances;       /* JSON list; empty until they are known */
    struct str detail;         /* words, "" none */
    int64_t asked_us, told_us; /* told_us 0: not yet */
};

struct balance_input {
    struct uuid merchant;
    const struct gateway *gateway;
    bool live;
    bool staff; /* may see what the installation's live account has */
};

/* `done` fires once, on a later turn; the view lives during the call. ERR_INVALID_STATE (what = in
 * words): there is no such account, or it cannot be asked; ERR_FORBIDDEN: it is the installation's;
 * ERR_UNAVAILABLE: the provider gave no clear answer. */
typedef void balance_fn(void *ctx, struct err err, const struct balance_view *view);
void balance_start(struct flow *f, const struct balance_input *in, balance_fn *done, void *ctx);

/* Whether the word behind a token says that a balance is told. */
bool balance_is_kind(struct str kind);
/* The provider's answer to a question, to the account's URL; ERR_UNAUTHENTICATED: forged. What is
 * nobody's answer is thanked for and forgotten. `done` fires once, on a later turn. */
struct balance_told {
    struct str token; /* without the word */
    struct str kind, body, peer;
};
typedef void balance_told_fn(void *ctx, struct err err, const struct gateway *gateway);
void balance_tell(struct flow *f, const struct balance_told *in, balance_told_fn *done, void *ctx);

#endif
