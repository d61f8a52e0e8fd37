#ifndef RELI_GATEWAYS_SANDBOX_DARAJA_CHECK_H
#define RELI_GATEWAYS_SANDBOX_DARAJA_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "core/codec/json.h"

/* What Daraja refuses. Pure. Source: providers/mpesa.md, sections 1.2, 1.4 and 2. */

/* A refusal in Daraja's envelope; status 0 is none. */
struct daraja_fault {
    int status;
    const char *code;
    const char *message;
};

/* One organisation. A pay bill has no till. */
struct daraja_account {
    const char *shortcode; /* of a till: its store number */
    const char *passkey;
    const char *till; /* NULL for a pay bill */
};

enum { DARAJA_MAX_URL = 1024, DARAJA_MAX_AMOUNT = 250000 };

/* Texts point into the checked JSON or into `digits`. */
struct daraja_push {
    struct str shortcode, password, timestamp, type, party_a, party_b, phone, url, reference;
    int64_t amount; /* whole shillings */
    char digits[5][JSON_NUMBER_TEXT];
};

struct daraja_query {
    struct str shortcode, password, timestamp, id;
    char digits[1][JSON_NUMBER_TEXT];
};

/* The fields one by one, in the order of the document; the first fault wins. */
struct daraja_fault daraja_check_push(const struct json *body, struct daraja_push *out);
struct daraja_fault daraja_check_query(const struct json *body, struct daraja_query *out);

/* Finds the account, then looks at timestamp (`tolerance_s` seconds around `wall_us`, 0 for any)
 * and password. */
struct daraja_fault daraja_check_password(const struct daraja_account *accounts, size_t n,
                                          struct str shortcode, struct str password,
                                          struct str timestamp, int64_t wall_us,
                                          int64_t tolerance_s,
                                          const struct daraja_account **account);

/* A push that passes every check may still go nowhere: the result code that it then ends with, NULL
 * if it is fine. */
const char *daraja_misfit(const struct daraja_account *account, const struct daraja_push *push);

/* The rules of single fields. */
struct daraja_fault daraja_invalid(const char *message);
/* Number or digit string of min..max digits. A real, a sign, a blank or a boolean is neither. */
bool daraja_digits(const struct json *body, const char *name, size_t min, size_t max,
                   char text[JSON_NUMBER_TEXT], struct str *out);
/* A string that is not empty. */
bool daraja_text(const struct json *body, const char *name, struct str *out);
bool daraja_phone_fine(struct str s);
bool daraja_url_fine(struct str url);

/* 14 digits, East Africa Time, as microseconds UTC; false if that is no date. */
bool daraja_time_parse(struct str text, int64_t *wall_us);

#endif
