/* core/base/fsm.c: allowed moves, and the end of the process for the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>

#include "core/base/fsm.h"
#include "core/base/log.h"
#include "test/base/child.h"

enum { WAIT, SEND, DONE, N_STATES };

static const char *const names[N_STATES] = {"wait", "send", "done"};
static const uint32_t next[N_STATES] = {
    [WAIT] = 1u << SEND | 1u << DONE, [SEND] = 1u << SEND | 1u << DONE, [DONE] = 0};
static const struct fsm machine = {"errand", names, next};

struct move {
    int from, to;
};

static void enter(int fd, const void *arg)
{
    const struct move *m = arg;
    int state = m->from;
    log_open(fd, LOG_DEBUG);
    fsm_enter(&machine, &state, m->to);
    log_close();
    _exit(state == m->to ? 0 : 1);
}

static void every_move(void **state)
{
    (void)state;
    for (int from = 0; from < N_STATES; from++) {
        for (int to = 0; to < N_STATES; to++) {
            char out[4096], want[64];
            struct move m = {from, to};
            int status = child_run(enter, &m, out, sizeof out);
            if ((next[from] >> to & 1) != 0) {
                assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
                assert_non_null(strstr(out, "\"event\":\"fsm.enter\""));
                assert_non_null(strstr(out, "\"machine\":\"errand\""));
                (void)snprintf(want, sizeof want, "\"from\":\"%s\",\"to\":\"%s\"}\n", names[from],
                               names[to]);
                assert_non_null(strstr(out, want));
            } else {
                assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
                assert_non_null(strstr(out, "\"event\":\"assert.failed\""));
                assert_null(strstr(out, "fsm.enter"));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
