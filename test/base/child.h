#ifndef RELI_TEST_BASE_CHILD_H
#define RELI_TEST_BASE_CHILD_H

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs `body` in a process of its own, for what ends a process. Returns how it ended (waitpid's
 * status); `out` gets what it wrote to the descriptor that it was given. */
static inline int child_run(void (*body)(int fd, const void *arg), const void *arg, char *out,
                            size_t cap)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(pipes[0]);
        body(pipes[1], arg);
        _exit(0);
    }
    (void)close(pipes[1]);
    size_t n = 0;
    ssize_t got;
    while (n + 1 < cap && (got = read(pipes[0], out + n, cap - 1 - n)) > 0)
        n += (size_t)got;
    out[n] = '\0';
    (void)close(pipes[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

#endif
