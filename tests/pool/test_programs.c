/* SPDX-License-Identifier: MIT */
/*
 * Programs that end, however they do, take their workers with them and leave nothing behind: the
 * test adopts the orphans and waits until there are none. The program's shared memory has no name
 * that could stay.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

#include <weft.h>

#include "calls.h"
#include "dying.h"
#include "strands.h"
#include "tracing.h"

enum { WORKERS = 3, BUSY_MAPS = 2 };

/* In memory that the test shares with the program and all that it forks. */
static struct {
    atomic_int calls, workers[WORKERS];
    atomic_bool go;
} * board;

static void prepare(void)
{
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT_TRUE(board != MAP_FAILED);
    DESCRIPTORS_MAY_STAY();
}

static int count_square(weft_call *call)
{
    atomic_fetch_add(&board->calls, 1);
    return square(call);
}

static int show_and_wait(weft_call *call)
{
    atomic_store(&board->workers[*(const int *)call->arg], getpid());
    (void)signal(SIGTERM, SIG_IGN);
    for (;;)
        pause();
    return 0;
}

static weft_pool *open_pool(weft_options options)
{
    weft_pool *pool;
    EXPECT_EQ(weft_init(), 0);
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    return pool;
}

static void submit_and_forget(weft_pool *pool, weft_fn *fn, int n)
{
    EXPECT_EQ(weft_pool_submit(pool, fn, &n, sizeof n, NULL, WEFT_FOREVER), 0);
}

/* ---- full of calls that never end */

static void program_that_is_full(void)
{
    weft_pool *pool = open_pool((weft_options){ .workers = WORKERS });
    for (int i = 0; i < WORKERS; i++)
        submit_and_forget(pool, show_and_wait, i);
    for (int i = 0; i < 500; i++)
        submit_and_forget(pool, count_square, i);
    (void)weft_sleep_until(WEFT_FOREVER);
}

TEST(a_killed_program_leaves_no_worker)
{
    static const int signals[] = { SIGKILL, SIGTERM, SIGUSR1 };
    prepare();
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        for (int n = 0; n < WORKERS; n++)
            atomic_store(&board->workers[n], 0);
        pid_t program = start_program(program_that_is_full);
        for (int n = 0; n < WORKERS; n++)
            UNTIL(atomic_load(&board->workers[n]));
        EXPECT_EQ(kill(program, signals[i]), 0);
        (void)wait_for_all(program);
    }
}

TEST(a_killed_program_leaves_no_stopped_worker)
{
    prepare();
    pid_t program = start_program(program_that_is_full);
    for (int n = 0; n < WORKERS; n++) {
        UNTIL(atomic_load(&board->workers[n]));
        EXPECT_EQ(kill(atomic_load(&board->workers[n]), SIGSTOP), 0);
    }
    EXPECT_EQ(kill(program, SIGKILL), 0);
    (void)wait_for_all(program);
}

/* ---- busy, killed at any moment */

static void *map_for_ever(void *pool)
{
    for (;;)
        map_squares(pool, count_square, 200);
    return NULL;
}

static void program_that_is_busy(void)
{
    pthread_t thread;
    weft_pool *pool = open_pool((weft_options){ .workers = WORKERS, .calls_per_worker_max = 100 });
    for (int i = 0; i < BUSY_MAPS; i++)
        EXPECT_EQ(pthread_create(&thread, NULL, map_for_ever, pool), 0);
    for (;;)
        submit_and_forget(pool, count_square, 3);
}

/* After so many calls, more of them each time: from the first worker's start on. */
TEST(a_program_that_is_killed_at_any_moment_leaves_no_worker)
{
    prepare();
    for (int calls = 0; calls < 20000 / (HARNESS_SANITIZED ? 10 : 1); calls += calls / 4 + 1) {
        atomic_store(&board->calls, 0);
        pid_t program = start_program(program_that_is_busy);
        UNTIL(atomic_load(&board->calls) >= calls);
        EXPECT_EQ(kill(program, SIGKILL), 0);
        (void)wait_for_all(program);
    }
}

/* ---- a whole life, killed at each system call of its main thread */

static void program_that_lives(void)
{
    UNTIL(atomic_load(&board->go)); /* until it is traced */
    weft_pool *pool = open_pool((weft_options){ .workers = 2 });
    for (int i = 0; i < 3; i++)
        submit_and_forget(pool, count_square, i);
    map_squares(pool, count_square, 200);
    weft_pool_close(pool);
}

/* False: it ended before. */
static bool kill_at_stop(long n)
{
    enum trace_end end = TRACE_STOPPED;
    atomic_store(&board->go, false);
    pid_t program = start_program(program_that_lives);
    trace_stop(program, 0);
    atomic_store(&board->go, true);
    for (long i = 0; i < n && end == TRACE_STOPPED; i++)
        end = trace_step(PTRACE_SYSCALL, program, NULL, NULL);
    if (end == TRACE_STOPPED)
        trace_kill(program);
    while (waitpid(-1, NULL, 0) >= 0)
        ;
    EXPECT_EQ(errno, ECHILD);
    return end == TRACE_STOPPED;
}

TEST(a_program_that_is_killed_at_any_system_call_leaves_no_worker)
{
    const char *said = getenv("WEFT_STEPS");
    long stride = said ? atol(said) : HARNESS_SANITIZED ? 23 : 5, n = (long)(weft_now() % stride);
    prepare();
    trace_must_be_possible();
    while (kill_at_stop(n))
        n += stride;
    printf("%ld stops\n", n);
    EXPECT_GT(n, 20);
}

/* ---- ends of its own */

static void program_that_forgets_its_pool(void)
{
    weft_pool *pool = open_pool((weft_options){ .workers = WORKERS });
    for (int i = 0; i < WORKERS; i++)
        submit_and_forget(pool, show_and_wait, i);
    for (int i = 0; i < WORKERS; i++)
        UNTIL(atomic_load(&board->workers[i]));
    /* A leak checker would not find what the first thread's stack, if that has ended, had held. */
    if (HARNESS_SANITIZED)
        _exit(7);
    exit(7);
}

TEST(a_program_may_exit_with_a_full_pool)
{
    prepare();
    int status = wait_for_all(start_program(program_that_forgets_its_pool));
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 7);
}

static void *end_in_a_thread(void *unused)
{
    (void)unused;
    program_that_forgets_its_pool();
    return NULL;
}

/* weft_init() is the main thread's, but workers do not die with it. */
static void program_whose_first_thread_ends(void)
{
    pthread_t thread;
    EXPECT_EQ(weft_init(), 0);
    EXPECT_EQ(pthread_create(&thread, NULL, end_in_a_thread, NULL), 0);
    pthread_exit(NULL);
}

TEST(a_program_may_go_on_without_its_first_thread)
{
#ifndef __GLIBC__
    SKIP("in a fork, musl's pthread_exit() leaves its list of threads locked");
#endif
    prepare();
    int status = wait_for_all(start_program(program_whose_first_thread_ends));
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 7);
}

/* ---- copies */

static bool refuses(weft_pool *pool)
{
    int in[2] = { 1, 2 }, out[2];
    weft_map map = {
        .in = in, .count = 2, .in_bytes = sizeof *in, .out = out, .out_bytes = sizeof *out
    };
    return weft_pool_submit(pool, square, in, sizeof *in, NULL, WEFT_FOREVER) == -ENOTCONN &&
           weft_pool_map(pool, square, &map, WEFT_FOREVER) == -ENOTCONN;
}

static void program_that_forks_beside_its_pool(void)
{
    weft_pool *pool = open_pool((weft_options){ .workers = WORKERS });
    map_squares(pool, square, 100);
    int status = 0;
    pid_t copy = fork();
    if (copy == 0) {
        bool refused = refuses(pool);
        weft_pool_terminate(pool);
        weft_pool_close(pool);
        _exit(refused ? 7 : 1);
    }
    if (waitpid(copy, &status, 0) != copy || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
        _exit(2);
    map_squares(pool, square, 100);
    weft_pool_close(pool);
    _exit(7);
}

TEST(a_pool_is_not_touched_by_a_fork_of_its_program)
{
    prepare();
    int status = wait_for_all(start_program(program_that_forks_beside_its_pool));
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 7);
}

/* ---- nothing that has a name */

/* Every mapping that is shared and writable is of a memfd, or nobody else's. */
static void expect_nothing_named(pid_t pid)
{
    char path[64], line[512], may[8], name[256];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    EXPECT_TRUE(maps != NULL);
    while (fgets(line, sizeof line, maps)) {
        name[0] = 0;
        EXPECT_GE(sscanf(line, "%*s %7s %*s %*s %*s %255[^\n]", may, name), 1);
        bool anonymous = strncmp(name, "/memfd:", 7) == 0 ||
                         strncmp(name, "anon_inode:", 11) == 0 ||
                         strncmp(name, "/dev/zero", 9) == 0;
        if (may[1] == 'w' && may[3] == 's' && !anonymous)
            FAIL("process %d shares %s", (int)pid, name);
    }
    fclose(maps);
}

TEST(what_processes_share_has_no_name_that_could_stay)
{
    prepare();
    pid_t program = start_program(program_that_is_full);
    for (int n = 0; n < WORKERS; n++) {
        UNTIL(atomic_load(&board->workers[n]));
        expect_nothing_named(atomic_load(&board->workers[n]));
    }
    expect_nothing_named(program);
    EXPECT_EQ(kill(program, SIGKILL), 0);
    (void)wait_for_all(program);
}
