/* The table of CPay's scripts. Source: providers/patterns.md, A4; the last line is ours. */
#include "gateways/sandbox/cpay_script.h"

#include "core/base/attr.h"

static const struct cpay_script scripts[] = {
    {0, CPAY_TRICK_NONE, NULL, "success"},
    {101, CPAY_TRICK_FAIL, "insufficient_funds", "insufficient funds"},
    {102, CPAY_TRICK_FAIL, "payer_rejected", "rejected by the payer"},
    {103, CPAY_TRICK_WAIT, NULL, "pending until it expires"},
    {104, CPAY_TRICK_LOST_ANSWER, NULL, "created and answered by 500, paid"},
    {105, CPAY_TRICK_TWICE, NULL, "webhook twice, paid"},
    {106, CPAY_TRICK_DISORDER, NULL, "webhooks out of order, paid"},
    {107, CPAY_TRICK_SILENT, NULL, "no webhook, paid"},
    {108, CPAY_TRICK_LATE, NULL, "paid after a long time"},
    {109, CPAY_TRICK_FORGED, NULL, "webhook with a wrong signature first, paid"},
    {110, CPAY_TRICK_CODE, NULL, "asks for a code, paid"},
    {111, CPAY_TRICK_DISPUTE, NULL, "paid, then disputed"},
    {112, CPAY_TRICK_NO_REFUND, NULL, "paid, refunds fail"},
    {113, CPAY_TRICK_BUSY, NULL, "sent away twice, then paid"},
    {114, CPAY_TRICK_SLOW, NULL, "answered late, paid"},
    {115, CPAY_TRICK_DISPUTE_LOST, NULL, "paid, disputed, given back"},
};

static const struct cpay_script *find(int64_t number)
{
    for (size_t i = 1; i < COUNT_OF(scripts); i++)
        if (scripts[i].number == number)
            return &scripts[i];
    return NULL;
}

const struct cpay_script *cpay_script_of(int64_t minor, struct str phone)
{
    int64_t number;
    const struct cpay_script *s = find(minor % 1000);
    if (s == NULL && phone.n >= 3 && str_to_i64(str_from(phone, phone.n - 3), &number))
        s = find(number);
    return s != NULL ? s : &scripts[0];
}

const struct cpay_script *cpay_script_at(size_t i)
{
    return i < COUNT_OF(scripts) ? &scripts[i] : NULL;
}
