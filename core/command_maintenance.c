/* reli maintenance: switched from the command line, for installations without people. */
#include <stdio.h>
#include <string.h>

#include "core/base/times.h"
#include "core/commands.h"
#include "core/crypto/random.h"
#include "core/flow/maintenance.h"
#include "core/tool.h"

static const char usage[] = "maintenance on [--message TEXT] | maintenance off|status";

static void show(void *ctx, struct err err, const struct rows *r)
{
    static struct maintenance m; /* large */
    struct tool *t = ctx;
    char at[TIME_TEXT];
    t->err = err;
    if (err_is(err))
        return;
    maintenance_take(&m, r);
    printf("maintenance=%s\n", m.on ? "on" : "off");
    if (m.on && m.message[0] != '\0')
        printf("message=%s\n", m.message);
    if (m.since_us != 0)
        printf("since=%s\nby=%s\n", time_text(m.since_us, at), m.by);
}

int command_maintenance(int argc, char **argv)
{
    struct tool t;
    const char *message = tool_option(argc, argv, "--message");
    bool on = argc >= 1 && strcmp(argv[0], "on") == 0;
    bool off = argc == 1 && strcmp(argv[0], "off") == 0;
    bool status = argc == 1 && strcmp(argv[0], "status") == 0;
    if ((!on && !off && !status) || (on && argc != 1 && (argc != 3 || message == NULL)) ||
        (message != NULL && (message[0] == '\0' || !utf8_valid(str_c(message)) ||
                             utf8_count(str_c(message)) > MAINTENANCE_MESSAGE_MAX)))
        return tool_usage(usage);
    struct err err = tool_open(&t, CONF_DATABASE);
    struct value params[] = {V_BOOL(on), V_TEXT(str_c(message)), V_TEXT(STR("cli")),
                             V_TIME(t.now_us), V_UUID(random_uuid(t.now_us))};
    if (!err_is(err))
        err = status ? tool_run(&t, Q_maintenance_get, NULL, 0, show)
                     : tool_run(&t, Q_maintenance_set, params, COUNT_OF(params), show);
    return tool_close(&t, err);
}
