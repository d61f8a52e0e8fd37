#ifndef RELI_TEST_CONFORM_CONFORM_H
#define RELI_TEST_CONFORM_CONFORM_H

#include <stdio.h>

#include "core/base/times.h"
#include "gateways/gateway.h"

/* The conformance kit: the same checks for every gateway of the registry. What differs is data: a
 * fixture per provider, written by hand from the provider's documents, never from the adapter's
 * output. conform.c runs, check_*.c check, wire.c hears and spoils. */

/* ---- wire shapes ---- */

/* Marks in a body, taken out before it is used: the code that decides, the amount that is believed,
 * an id that says which attempt it is about. Each holds one JSON value, quotes included. */
#define CODE(value) "\001" value "\002"
#define AMOUNT(value) "\003" value "\004"
#define ID(value) "\005" value "\006"
/* Where the answers to questions for balances go. */
#define BALANCE_URL "https://pay.example.co.ke/cb/3c9d10"
/* What confirms and cancels are made with, beside the fixture's query_ref. */
#define ACT_CODE "123456"
#define ACT_KEY "4f9c1e52-7b1a-4d0e-8a57-2c6f0b9d1e33"
/* In a recorded request: any run of base64 characters, for what is random by design. */
#define ANY "\007"

enum wire_op {
    WIRE_CHARGE,
    WIRE_QUERY,
    WIRE_REFUND,
    WIRE_REFUND_QUERY,
    WIRE_CALLBACK,
    WIRE_REFUND_CALLBACK,
    WIRE_TOKEN,
    WIRE_CONFIRM,
    WIRE_CANCEL,
    WIRE_BALANCE,
    WIRE_BALANCE_CALLBACK,
    WIRE_PAYOUT,
    WIRE_PAYOUT_QUERY,
    WIRE_PAYOUT_CALLBACK,
    WIRE_N
};

/* What a shape means by the document. Texts that are NULL must be absent; of an unknown outcome
 * only receipt and amount are looked at. */
struct meaning {
    enum gw_verdict verdict;
    enum failure_code code;
    bool sure, retry_later;
    bool acted;
    bool not_ours; /* a callback of another kind: ERR_PARSE */
    const char *provider_ref, *our_id, *receipt, *phone;
    const char *action; /* what next_action contains */
    const char *about;  /* callback without our_id: what is asked about to learn it */
    struct gw_dispute dispute;
    const char *balances; /* "name currency available pending;" of each, in minor units */
    struct money amount;
};

struct wire_shape {
    const char *name;
    enum wire_op op;
    int refund; /* index of fixture.refunds */
    int status;
    const char *kind; /* gw_callback.kind; NULL none */
    const char *body;
    struct meaning means;
    enum gw_verdict otherwise; /* what a code that nobody has documented means here, if the document
                                  says more than "unknown"; 0 it does not */
    bool amount_optional;      /* the document has successes without an amount */
};

/* ---- requests ---- */

struct sample {
    const char *name, *value;
};

struct wire_request {
    const char *name;
    enum wire_op op;
    int refund;                     /* index of fixture.refunds */
    const struct gw_charge *charge; /* NULL: fixture.charge */
    const struct gw_payout *payout; /* NULL: fixture.payout */
    const char *provider_ref;       /* of a question */
    const struct sample *settings;  /* in the place of the fixture's, name NULL at the end */
    const char *method, *url, *body;
    const char *headers[OUTBOUND_MAX_HEADERS];
    bool once;
};

/* ---- money sent unasked ---- */

struct wire_receipt {
    const char *name, *body;
    const char *receipt, *reference; /* NULL: it is not this account's */
    struct money amount;
};

/* ---- webhooks ---- */

/* As the document's own example has it. */
struct wire_signature {
    const char *secret, *body, *signature, *timestamp;
    int64_t now_s;
};

/* Signs as the provider does, with each of `n` secrets; written from the document. */
typedef void sign_fn(const struct str *secrets, size_t n, struct str body, int64_t now_s,
                     struct arena *mem, struct gw_webhook *out);

/* ---- the fixture ---- */

enum { FIXTURE_RAILS = 2 };

struct fixture {
    const char *name;
    /* What the document says it can do. */
    struct gateway can;
    const char *document; /* NULL: gateways/<name>.md */
    const char *readme;   /* NULL: README.md */

    const struct sample *settings; /* name NULL at the end */
    const char *base_url, *token;
    struct gw_charge charge;
    int n_refunds;
    struct gw_refund refunds[FIXTURE_RAILS];
    struct gw_payout payout;
    const char *query_ref; /* a provider_ref to ask by */

    const struct wire_request *requests; /* name NULL at the end */
    const struct wire_shape *shapes;     /* name NULL at the end */
    const struct wire_receipt *receipts; /* name NULL at the end */
    const char *const *bad_phones;  /* beyond those that are wrong everywhere; NULL at the end */
    const char *const *personal;    /* what no stored body may show; NULL at the end */
    const char *idempotency_header; /* "Idempotency-Key"; NULL none */

    sign_fn *sign;
    const char *sign_setting; /* the setting that holds the secret */
    int64_t sign_tolerance_s;
    struct wire_signature signature;

    bool minor_units;          /* amounts are integers in the minor unit, else decimal text */
    bool phone_unused;         /* a request never has the customer's phone number */
    bool codes_outrank_status; /* an error code decides, whatever status it comes with */
    bool client_error_refuses; /* a 4xx says "not taken" by itself */
    void (*prepare)(void);     /* makes what cannot be written down: keys */
};

extern const struct fixture *const fixtures[];
const struct fixture *fixture_find(const char *name);

/* ---- a run of one check ---- */

enum { FAULTS_KEPT = 4, FAULT_TEXT = 400 };

struct run {
    const struct fixture *fx;
    const struct gateway *gw;
    struct gw_account account;
    struct arena mem;
    size_t n_cases, n_faults;
    char faults[FAULTS_KEPT][FAULT_TEXT];
};

struct check {
    const char *name;
    void (*run)(struct run *r);
};
extern const struct check descriptor_checks[], request_checks[], answer_checks[], hostile_checks[],
    webhook_checks[], receipt_checks[];

void run_fault(struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Counts a case; a fault unless `ok`. */
void run_case(struct run *r, bool ok, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* An account with the fixture's settings, those of `instead` in their place. */
struct gw_account run_account(struct run *r, const struct sample *instead);
void account_set(struct run *r, struct gw_account *a, const char *name, struct str value);

/* ---- wrong.c: the kit's own test ---- */

/* A small provider of nobody's, and faults that can be put into its adapter one at a time. */
struct wrong {
    const char *name;
    const char *fails; /* the checks that must notice, and no other, by commas */
};
extern const struct wrong wrongs[]; /* the first has none and passes; name NULL at the end */
extern const struct fixture fixture_toy;
const struct gateway *wrong_gateway(size_t i);

/* ---- wire.c: hearing ---- */

enum { ARENA_LIMIT = 1024 * 1024, SPANS_MAX = 512 };

struct span {
    size_t from, to;           /* of the value */
    size_t name_from, name_to; /* of its member's name; equal in a list and at the top */
    int depth;
};

/* A shape's bytes without marks, and what was marked. */
struct wire {
    struct str body;
    struct span code[8], amount[4], id[8];
    size_t n_code, n_amount, n_id;
    struct span spans[SPANS_MAX]; /* of every JSON value, the whole first; none if it is no JSON */
    size_t n_spans;
};
const struct wire *wire_of(struct run *r, const struct wire_shape *s);
/* Spans of every value of valid JSON. */
size_t json_spans(struct str text, struct span *out, size_t cap);
/* `w` with the bytes of `at` replaced. */
struct str wire_with(struct arena *mem, struct str body, struct span at, struct str instead);

struct said {
    struct err err;
    struct gw_result r;
    struct arena mem;
};
struct ask {
    enum outbound_outcome outcome;
    int status;
    struct str body;
    size_t arena_limit;
};
static inline struct ask ask_of(const struct wire_shape *s, struct str body)
{
    return (struct ask){OUTBOUND_ANSWERED, s->status, body, ARENA_LIMIT};
}
bool op_there(const struct gateway *g, enum wire_op op);
bool op_is_callback(enum wire_op op);
bool op_is_order(enum wire_op op);
bool op_is_act(enum wire_op op);
bool same_balances(const struct gw_balances *got, const char *want);
const char *op_word(enum wire_op op);
const char *verdict_word(enum gw_verdict v);
/* Lets the adapter read it, from memory of exactly that size that is gone afterwards. */
void hear(struct run *r, const struct wire_shape *s, const struct ask *ask, struct said *out);
void said_free(struct said *said);
/* Nothing is claimed: an error of a callback, "unknown"; of what is no order also "pending". */
bool says_nothing(const struct wire_shape *s, const struct said *said);
/* NULL if what was said of a spoilt shape is either nothing or what the whole one says; else what
 * is wrong. */
const char *claims_too_much(const struct wire_shape *s, const struct said *said);

/* Builds request `w`, or ERR_NOT_FOUND if the gateway has none of the kind. */
struct build {
    struct gw_account account;
    struct gw_charge charge;
    struct gw_refund refund;
    struct gw_payout payout;
    struct gw_act act;
    struct gw_balance_ask balance;
    struct str provider_ref, token;
    size_t arena_limit;
};
struct build build_of(struct run *r, const struct wire_request *w);
struct err build_request(struct run *r, const struct wire_request *w, const struct build *b,
                         struct arena *mem, struct outbound_request *out) MUST_USE;

#endif
