#ifndef RELI_COMMANDS_H
#define RELI_COMMANDS_H

/* The command line's programs that do one thing and end. Each takes the arguments behind its name
 * and returns the exit code: 0 done, 1 failed, 2 wrong usage or configuration. */
int command_migrate(int argc, char **argv);
int command_merchant(int argc, char **argv);
int command_admin(int argc, char **argv);
int command_keys(int argc, char **argv);
/* core/command_data_keys.c, for command_keys */
int command_data_key_list(void);
int command_data_key_rotate(void);
int command_data_key_retire(const char *number);
int command_fees(int argc, char **argv);
int command_limits(int argc, char **argv);
int command_routes(int argc, char **argv);
int command_maintenance(int argc, char **argv);
int command_listen(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_health(int argc, char **argv);
int command_version(int argc, char **argv);

#endif
