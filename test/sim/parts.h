#ifndef RELI_SIM_PARTS_H
#define RELI_SIM_PARTS_H

#include "test/sim/world.h"

/* What stands around the flows in a simulated world, and what each tells the checker. */

/* ---- the reactor: loop_sim.c ---- */

void loop_laters_run(struct loop *l);
/* When the process next wants to be woken by an alarm of its own; not by those of its jobs. */
int64_t loop_next_us(const struct process *p);
/* The same for its jobs' alarms. */
int64_t loop_next_jobs_us(const struct process *p);
/* Fires what is due, of its jobs or of the rest. */
void loop_fire(struct process *p, bool jobs);

/* ---- PostgreSQL: store_mem.c ---- */

void mem_begin(void);
struct store *mem_store(struct process *p);
/* What it had sent may arrive or not. */
void mem_process_died(struct process *p);

/* ---- providers: provider_sim.c ---- */

enum { PROVIDER_ALPHA, PROVIDER_BETA, PROVIDER_CASH, N_PROVIDERS };

void provider_begin(void);
struct gw_client *provider_client(struct process *p);
const struct gateway *provider_gateway(int provider);
struct uuid provider_account(int provider);
void provider_process_died(struct process *p);

/* One decision of a provider on a prompt. */
struct decision {
    int64_t at_us;
    bool paid, sure;
    enum failure_code code;
    struct money amount;
    char receipt[16];
    bool receipt_reused;
    bool heard; /* a callback that tells it was acknowledged */
};

/* What a provider made of one charge. */
struct prompt {
    struct prompt *next;
    int provider;
    struct uuid payment;
    int attempt;
    char token[97];
    char ref[20];
    char phone[16];
    struct money asked;
    int64_t sent_us;
    int64_t arrived_us;
    int n_decisions;
    struct decision decisions[2];
    bool vanished;         /* dropped without an end; the provider no longer knows it … */
    int64_t vanishes_us;   /* … from now on */
    int64_t asks_until_us; /* the customer has to act elsewhere before; 0: not at all */
    int64_t answered_us;   /* its reference was handed to a process; 0 never */
    struct process *answered_to;
    bool told_paid;       /* a query's "paid" was handed to a process … */
    int64_t told_paid_us; /* … at this moment */
    struct process *told_paid_to;
    /* a callback from a foreign address, with the right URL and an invented receipt, has come: the
     * provider is asked whether it paid, but what it adds to the answer is believed */
    bool misled;
};

/* Charges that reached a provider, newest first. */
struct prompt *provider_prompts(void);
/* The last decision by now; NULL if there is none. */
const struct decision *prompt_decided(const struct prompt *p, int64_t now_us);

/* What a provider made of one request to give money back. */
struct back {
    struct back *next;
    int provider;
    struct uuid refund;
    int attempt;
    enum refund_rail rail;
    char token[97];
    char our_id[40], ref[40];
    struct money asked;
    int64_t arrived_us;
    int salt; /* no two of its callbacks are the same bytes */
    int n_decisions;
    struct decision decisions[2];
    bool vanished;
    bool forged; /* somebody invented a callback with the right URL, and it has come */
    int64_t answered_us;
    struct process *answered_to;
    bool told_paid;
    int64_t told_paid_us;
    struct process *told_paid_to;
    bool told_failed;
    int64_t told_failed_us;
    struct process *told_failed_to;
};

/* Requests that reached a provider, newest first. */
struct back *provider_backs(void);
const struct decision *back_decided(const struct back *b, int64_t now_us);
/* It was taken, and not carried out because the provider was busy. */
bool back_was_busy(const struct back *b);

/* What became of a payout at its provider, one thing after the other. */
enum fate_kind { FATE_PAID, FATE_FAILED, FATE_BACK /* it was paid, and the money is back */ };
struct fate {
    enum fate_kind kind;
    int64_t at_us;
    enum failure_code code;
    struct money amount;
    char receipt[16];
    bool heard; /* a callback that tells it was acknowledged */
    bool told;  /* an answer that tells it was handed to a process … */
    bool whole; /* with the amount */
    int64_t told_us;
    struct process *told_to;
};

/* What a provider made of one request to pay out. */
struct out {
    struct out *next;
    int provider;
    struct uuid payout;
    int request;
    char token[97];
    char our_id[40], ref[40];
    struct money asked;
    int64_t arrived_us;
    int salt; /* no two of its callbacks are the same bytes */
    int n_fates;
    struct fate fates[2];
    bool vanished;
    bool denied;         /* somebody was told that it was not taken */
    bool mixed_up;       /* somebody else's result has come under its name */
    int64_t answered_us; /* its reference was handed to a process; 0 never */
    struct process *answered_to;
};

/* Requests that reached a provider, newest first. */
struct out *provider_outs(void);
/* The last that has happened by now; NULL: nothing is decided. */
const struct fate *out_fate(const struct out *o, int64_t now_us);

/* A callback that reli has thanked for. */
struct thanked {
    struct thanked *next;
    struct uuid subject; /* payment, refund or payout */
    struct str body;
};
struct thanked *provider_thanked(void);

/* ---- webhook receivers and Redis: outside_sim.c ---- */

enum { MAX_ENDPOINTS = 3 };
void receiver_begin(void);
struct outbound *receiver_outbound(struct process *p);
/* Times that an event was taken with 2xx at a URL. */
int receiver_n_taken(struct uuid event, struct str url);

/* ---- clients: client_sim.c ---- */

struct order {
    struct order *next;
    int provider;
    struct str key, reference, phone, callback_url;
    struct money amount;
    bool routed;      /* it names the method only */
    bool unbuildable; /* the provider's request cannot be made */
    bool rewritten;   /* the key was also sent with another amount */
    bool late;        /* sent again when the key was no longer kept */
    int n_calls;
    int n_open; /* requests without an answer */
    int tries;
    struct uuid payment; /* nil: none known */
    bool refused;        /* 409 for its reference */
    bool answered_new;   /* not as a replay */
    struct str body;     /* of the first answer, p NULL before */
    int status;
    bool tried_cancel, tried_confirm, cancelled, confirmed;
};

void client_begin(void);
void client_process_died(struct process *p);
struct order *client_orders(void);

/* ---- those who confirm with a key: once_sim.c ---- */

/* After client_begin. */
void confirmer_begin(void);
void confirmer_process_died(struct process *p);
void check_confirmers(void);

/* ---- those who give money back: refunder_sim.c ---- */

struct refund_ask {
    struct refund_ask *next;
    struct order *order;
    struct str key;
    bool whole, rewritten, asked;
    int64_t minor;
    int64_t approval_above;
    int n_open, tries;
    struct uuid refund; /* nil: none known */
    bool answered_new;
    struct str body; /* of the first answer */
    bool ended_by_word, confirmed, tried_confirm;
};

/* After client_begin. */
void refunder_begin(void);
void refunder_process_died(struct process *p);
struct refund_ask *refund_asks(void);

/* ---- those who pay out: payouter_sim.c ---- */

struct payout_ask {
    struct payout_ask *next;
    int provider;
    struct str key, reference, callback_url;
    struct money amount;
    int64_t approval_above;
    bool unbuildable, rewritten, late, asked;
    int n_open, tries;
    struct uuid payout; /* nil: none known */
    bool refused;       /* there is not enough, or its reference is another's */
    bool answered_new;
    struct str body; /* of the first answer */
    bool ended_by_word, rejected;
};

/* After client_begin. */
void payouter_begin(void);
void payouter_process_died(struct process *p);
struct payout_ask *payout_asks(void);

/* ---- operators: operator_sim.c ---- */

void operators_begin(void);
/* One of them says that the refund has gone back. */
bool operator_paid(struct uuid refund);

/* ---- the checker: check.c; at the world's end ---- */

void check_world(void);
/* Its part on the refunds of a payment, in check_refund.c: what has gone back, as reli has it. */
struct mem_payment;
int64_t check_refunds(const struct mem_payment *p);
void check_refund_asks(void);
/* The payouts, what can still be paid out, and those who asked: check_payout.c. */
void check_payouts(void);
/* What payments and payouts share, in check.c. `id` had that many events; its own URL, p NULL none.
 */
void check_webhooks(const char *what, struct uuid id, struct str callback_url);
/* What the transfers of a payment or payout have added to accounts of a type, debits less credits.
 */
int64_t check_booked(struct uuid subject, const char *type);
/* What its transfers of a kind come to. */
int64_t check_moved(struct uuid subject, const char *kind);
/* Whether an exception of that kind was raised for a payment or refund; whether it is open. */
bool check_has_exception(struct uuid subject, const char *kind);
bool check_has_open(struct uuid subject, const char *kind);
/* The process lived long enough after it was told something to have kept it. */
bool check_kept_by(const struct process *p, int64_t told_us);

#endif
