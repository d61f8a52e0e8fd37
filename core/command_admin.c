/* reli admin: a person with a password and a role, without anybody's leave: the first operator, and
 * whoever has lost his password; whom the host knows; and accounts that are shut. */
#include <stdio.h>
#include <string.h>

#include "core/base/secret.h"
#include "core/commands.h"
#include "core/crypto/password.h"
#include "core/crypto/random.h"
#include "core/flow/user.h"
#include "core/tool.h"

static const char usage[] =
    "admin create --email E [--name NAME] [--merchant ID] [--role "
    "owner|admin|operator|viewer|support]\n"
    "                        [--reset-totp]   (the password by standard input)\n"
    "       reli admin confirm --email E\n"
    "       reli admin disable --email E\n"
    "       reli admin enable --email E";

struct admin {
    char email[USER_EMAIL_MAX + 1];
    struct str name;
    struct uuid merchant; /* nil: the platform, that is staff */
    enum role role;
    bool reset_totp;
    char password[PASSWORD_MAX + 3]; /* with the end of its line */
};

/* One line of standard input. */
static struct err read_password(struct admin *a)
{
    struct err err = ERR_OK;
    if (fgets(a->password, sizeof a->password, stdin) == NULL)
        a->password[0] = '\0';
    a->password[strcspn(a->password, "\r\n")] = '\0';
    if (!password_fits(str_c(a->password)))
        err = ERR(INVALID, "the password, a line of standard input, has 8 to 256 bytes");
    return err;
}

static struct err write_admin(struct tool *t, const struct admin *a)
{
    struct uuid id = random_uuid(t->now_us);
    uint8_t index[USER_HASH];
    char hash[PASSWORD_HASH_TEXT], text[UUID_TEXT];
    struct buf person;
    buf_init(&person, USER_SEALED_MAX);
    user_hash(t->vault, USER_EMAIL, str_c(a->email), index);
    struct err err = user_person_seal(t->vault, id, str_c(a->email), a->name, &person);
    if (!err_is(err))
        err = password_hash(str_c(a->password), hash);
    if (!err_is(err)) {
        struct value params[] = {V_UUID(id),
                                 V_BYTES(str_n((char *)index, USER_HASH)),
                                 V_BYTES(buf_view(&person)),
                                 V_TEXT(str_c(hash)),
                                 V_UUID(a->merchant),
                                 V_TEXT(str_c(role_word(a->role))),
                                 V_TIME(t->now_us),
                                 V_UUID(random_uuid(t->now_us)),
                                 V_BOOL(a->reset_totp)};
        err = tool_run(t, Q_admin_create, params, COUNT_OF(params), tool_first_id);
    }
    buf_free(&person);
    if (!err_is(err) && !t->found)
        err = ERR(NOT_FOUND, "no such merchant, or it is closed");
    if (!err_is(err))
        printf("user_id=%s\n", uuid_text(t->id, text));
    return err;
}

static bool has_flag(int argc, char **argv, const char *name)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return false;
}

/* `status` NULL: he is confirmed. */
static struct err write_status(struct tool *t, const char *email, const char *status)
{
    uint8_t index[USER_HASH];
    user_hash(t->vault, USER_EMAIL, str_c(email), index);
    struct value account = V_BYTES(str_n((char *)index, USER_HASH)), now = V_TIME(t->now_us),
                 audit = V_UUID(random_uuid(t->now_us));
    if (status == NULL)
        TRY(tool_run(t, Q_admin_confirm, (struct value[]){account, now, audit}, 3, tool_first_id));
    else
        TRY(tool_run(t, Q_admin_status,
                     (struct value[]){account, V_TEXT(str_c(status)), now, audit}, 4,
                     tool_first_id));
    return t->found ? ERR_OK : ERR(NOT_FOUND, "no such account, or it was never opened");
}

static int change_status(int argc, char **argv, const char *status)
{
    struct tool t;
    char email[USER_EMAIL_MAX + 1], id[UUID_TEXT];
    const char *given = tool_option(argc, argv, "--email");
    if (!tool_only(argc - 1, argv + 1, "--email") || given == NULL ||
        !user_email(str_c(given), email))
        return tool_usage(usage);
    struct err err = tool_open(&t, CONF_DATABASE | CONF_KEYS);
    if (!err_is(err))
        err = write_status(&t, email, status);
    if (!err_is(err))
        printf("user_id=%s\n%s=%s\n", uuid_text(t.id, id), status != NULL ? "status" : "confirmed",
               status != NULL ? status : "true");
    return tool_close(&t, err);
}

static int create(int argc, char **argv)
{
    struct tool t;
    struct admin a = {.role = ROLE_OWNER, .reset_totp = has_flag(argc, argv, "--reset-totp")};
    const char *email = tool_option(argc, argv, "--email"),
               *merchant = tool_option(argc, argv, "--merchant"),
               *role = tool_option(argc, argv, "--role");
    a.name = str_c(tool_option(argc, argv, "--name"));
    if (!tool_only(argc - 1, argv + 1, "--email --name --merchant --role --reset-totp!") ||
        email == NULL || !user_email(str_c(email), a.email) || !utf8_valid(a.name) ||
        utf8_count(a.name) > USER_NAME_MAX ||
        (merchant != NULL && !uuid_parse(str_c(merchant), &a.merchant)) ||
        (role != NULL && !role_parse(str_c(role), &a.role)))
        return tool_usage(usage);
    struct err err = tool_open(&t, CONF_DATABASE | CONF_KEYS);
    if (!err_is(err))
        err = read_password(&a);
    if (!err_is(err))
        err = write_admin(&t, &a);
    explicit_bzero(a.password, sizeof a.password);
    return tool_close(&t, err);
}

int command_admin(int argc, char **argv)
{
    if (argc >= 1 && strcmp(argv[0], "create") == 0)
        return create(argc, argv);
    if (argc >= 1 && strcmp(argv[0], "confirm") == 0)
        return change_status(argc, argv, NULL);
    if (argc >= 1 && strcmp(argv[0], "disable") == 0)
        return change_status(argc, argv, "disabled");
    if (argc >= 1 && strcmp(argv[0], "enable") == 0)
        return change_status(argc, argv, "active");
    return tool_usage(usage);
}
