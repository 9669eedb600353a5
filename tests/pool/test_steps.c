/* SPDX-License-Identifier: MIT */
/*
 * Death between any two steps of a worker's loop: taking a call, running it, answering, waiting for
 * the next, being woken by it, ending. The worker is killed at one place after the other
 * (stepping.h); each time, at most the call that it was running has crashed (or was tried again),
 * every other one is done, once, and the pool goes on.
 *
 * Nor may a worker that stands still at any of these places hold up anything but what it runs.
 *
 * A worker's start is walked through by system calls instead: it is long, and nobody else sees more
 * of it than they do.
 */
#include <pthread.h>
#include <stdatomic.h>

#include <weft.h>

#include "dying.h"
#include "kinds.h"
#include "stepping.h"
#include "strands.h"

enum { CALLS = 5 };

/* In shared memory. Calls are known by their argument, 0 to CALLS - 1. */
struct board {
    atomic_int worker, zygote;
    atomic_bool gate; /* open? Call 0 waits for it */
    atomic_int begun[CALLS], ended[CALLS];
};

static struct board *board;
static weft_pool *pool;

static int square(weft_call *call)
{
    struct board *its = *(struct board *const *)call->context;
    int n = *(const int *)call->arg, result = n * n;
    atomic_fetch_add(&its->begun[n], 1);
    if (n == 0) {
        atomic_store(&its->zygote, getppid());
        atomic_store(&its->worker, getpid());
        while (!atomic_load(&its->gate))
            ;
    }
    int rc = weft_call_return(call, &result, sizeof result);
    atomic_fetch_add(&its->ended[n], 1);
    return rc;
}

static void prepare(uint32_t workers, uint32_t attempts_max, uint32_t calls_per_worker_max)
{
    board = weft_shared_alloc(sizeof *board);
    EXPECT_TRUE(board);
    weft_options options = {
        .workers = workers,
        .attempts_max = attempts_max,
        .calls_per_worker_max = calls_per_worker_max,
        .context = &board,
        .context_bytes = sizeof board,
    };
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
}

static void end(void)
{
    weft_pool_close(pool);
    weft_shared_free(board);
}

static weft_future *submit(int n)
{
    weft_future *f;
    EXPECT_EQ(weft_pool_submit(pool, square, &n, sizeof n, &f, WEFT_FOREVER), 0);
    return f;
}

static void clear_board(void)
{
    atomic_store(&board->worker, 0);
    atomic_store(&board->gate, false);
    for (int i = 0; i < CALLS; i++) {
        atomic_store(&board->begun[i], 0);
        atomic_store(&board->ended[i], 0);
    }
}

static bool all_ended(const void *unused)
{
    (void)unused;
    for (int i = 0; i < CALLS; i++)
        if (!atomic_load(&board->ended[i]))
            return false;
    return true;
}

/* ---- what must hold after a death */

/* What the calls had done when the worker died. */
struct moment {
    bool begun[CALLS], ended[CALLS];
};

static struct moment look(void)
{
    struct moment moment;
    for (int i = 0; i < CALLS; i++) {
        moment.begun[i] = atomic_load(&board->begun[i]);
        moment.ended[i] = atomic_load(&board->ended[i]);
    }
    return moment;
}

/* May call i be the one that the death cost? The one that runs; where none does, the one that has
 * just run or the one that comes next. */
static bool may_be_lost(const struct moment *moment, int i)
{
    for (int n = 0; n < CALLS; n++)
        if (moment->begun[n] && !moment->ended[n])
            return n == i;
    bool next = !moment->begun[i] && (i == 0 || moment->ended[i - 1]);
    bool last = moment->ended[i] && (i == CALLS - 1 || !moment->begun[i + 1]);
    return next || last;
}

/* How the calls ended. */
static weft_outcome outcomes[CALLS];
static int results[CALLS];

static void collect(weft_future *futures[CALLS])
{
    for (int i = 0; i < CALLS; i++) {
        int rc = weft_future_wait(futures[i], WEFT_FOREVER);
        const int *result = weft_future_result(futures[i], NULL);
        outcomes[i] = *weft_future_outcome(futures[i]);
        EXPECT_EQ(rc, outcomes[i].how == WEFT_DONE ? 0 : -ECHILD);
        EXPECT_EQ(result != NULL, rc == 0);
        results[i] = result ? *result : 0;
        weft_future_close(futures[i]);
    }
}

static void expect_done(int i)
{
    EXPECT_EQ(outcomes[i].how, WEFT_DONE);
    EXPECT_EQ(results[i], i * i);
    EXPECT_GE(atomic_load(&board->ended[i]), 1);
    EXPECT_LE(atomic_load(&board->begun[i]), outcomes[i].attempts);
}

static bool retried; /* calls that crashed are tried again */

/* At most one of the calls has crashed; or was tried again, if that is allowed. */
static void expect_one_lost(const struct moment *moment)
{
    int lost = 0;
    for (int i = 0; i < CALLS; i++) {
        bool is_lost = retried ? outcomes[i].attempts > 1 : outcomes[i].how != WEFT_DONE;
        if (moment->begun[i] && !moment->ended[i])
            EXPECT_TRUE(is_lost);
        if (is_lost)
            EXPECT_TRUE(may_be_lost(moment, i));
        if (!is_lost || retried) {
            expect_done(i);
        } else {
            expect_death(&outcomes[i], KILL_ITSELF);
            EXPECT_LE(atomic_load(&board->begun[i]), 1);
        }
        lost += is_lost;
    }
    EXPECT_LE(lost, 1);
}

/* ---- the paths */

static struct path path;

static enum trace_end go_and_kill(pid_t worker, const struct place *place, struct moment *ret)
{
    enum trace_end end = path_go(worker, &path, place, all_ended, NULL);
    *ret = look();
    if (end != TRACE_ENDED)
        trace_kill(worker);
    return end;
}

static pid_t await_worker(void)
{
    UNTIL(atomic_load(&board->worker));
    return atomic_load(&board->worker);
}

/* From the end of one call through others, which wait already, until it sleeps. */
static bool from_call_to_call(const struct place *place)
{
    weft_future *futures[CALLS];
    struct moment moment;
    clear_board();
    futures[0] = submit(0);
    pid_t worker = await_worker();
    for (int i = 1; i < CALLS; i++)
        futures[i] = submit(i);
    trace_stop(worker, 0);
    atomic_store(&board->gate, true);
    enum trace_end end = go_and_kill(worker, place, &moment);
    collect(futures);
    expect_one_lost(&moment);
    return end == TRACE_STOPPED;
}

/* From the sleep that follows a call through one that wakes it, and others that come behind. */
static bool from_sleep_to_sleep(const struct place *place)
{
    weft_future *futures[CALLS];
    struct moment moment;
    clear_board();
    atomic_store(&board->gate, true);
    futures[0] = submit(0);
    EXPECT_EQ(weft_future_wait(futures[0], WEFT_FOREVER), 0);
    pid_t worker = await_worker();
    UNTIL(trace_state(worker) == 'S');
    trace_stop(worker, 0);
    for (int i = 1; i < CALLS; i++)
        futures[i] = submit(i);
    enum trace_end end = go_and_kill(worker, place, &moment);
    collect(futures);
    expect_one_lost(&moment);
    return end == TRACE_STOPPED;
}

static void *map_all(void *unused)
{
    int in[CALLS];
    for (int i = 0; i < CALLS; i++)
        in[i] = i;
    weft_map map = {
        .in = in,
        .count = CALLS,
        .in_bytes = sizeof *in,
        .out = results,
        .out_bytes = sizeof *results,
        .outcomes = outcomes,
        .on_failure = WEFT_GO_ON,
    };
    (void)!weft_pool_map(pool, square, &map, WEFT_FOREVER);
    return unused;
}

/* Through the items of a map, from the end of the first, until it sleeps. */
static bool through_a_map(const struct place *place)
{
    struct moment moment;
    pthread_t thread;
    clear_board();
    EXPECT_EQ(pthread_create(&thread, NULL, map_all, NULL), 0);
    pid_t worker = await_worker();
    trace_stop(worker, 0);
    atomic_store(&board->gate, true);
    enum trace_end end = go_and_kill(worker, place, &moment);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    expect_one_lost(&moment);
    return end == TRACE_STOPPED;
}

static void kill_at_every_step(bool (*go)(const struct place *), uint32_t attempts_max)
{
    trace_must_be_possible();
    prepare(1, attempts_max, 0);
    retried = attempts_max > 1;
    (void)go(NULL);
    path_try(&path, go);
    free(path.places);
    end();
}

TEST_PROCESSES(a_death_at_any_step_from_call_to_call_costs_one)
{
    (void)kind;
    kill_at_every_step(from_call_to_call, 0);
}

TEST_PROCESSES(a_death_at_any_step_from_call_to_call_is_made_good)
{
    (void)kind;
    kill_at_every_step(from_call_to_call, 3);
}

TEST_PROCESSES(a_death_at_any_step_from_sleep_to_sleep_costs_one)
{
    (void)kind;
    kill_at_every_step(from_sleep_to_sleep, 0);
}

TEST_PROCESSES(a_death_at_any_step_from_sleep_to_sleep_is_made_good)
{
    (void)kind;
    kill_at_every_step(from_sleep_to_sleep, 3);
}

TEST_PROCESSES(a_death_at_any_step_through_a_map_costs_one)
{
    (void)kind;
    kill_at_every_step(through_a_map, 0);
}

TEST_PROCESSES(a_death_at_any_step_through_a_map_is_made_good)
{
    (void)kind;
    kill_at_every_step(through_a_map, 3);
}

/* ---- the end */

static void *close_pool(void *unused)
{
    weft_pool_close(pool);
    return unused;
}

/* From the end of one call through the others to its own, since the pool is being closed. */
static bool from_call_to_end(const struct place *place)
{
    weft_future *futures[CALLS];
    struct moment moment;
    pthread_t thread;
    prepare(1, 0, 0);
    futures[0] = submit(0);
    pid_t worker = await_worker();
    for (int i = 1; i < CALLS; i++)
        futures[i] = submit(i);
    EXPECT_EQ(pthread_create(&thread, NULL, close_pool, NULL), 0);
    trace_stop(worker, 0);
    atomic_store(&board->gate, true);
    enum trace_end end = path_go(worker, &path, place, NULL, NULL);
    moment = look();
    if (end != TRACE_ENDED)
        trace_kill(worker);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    collect(futures);
    expect_one_lost(&moment);
    weft_shared_free(board);
    return end == TRACE_STOPPED;
}

TEST_PROCESSES(a_death_at_any_step_of_its_end_costs_one)
{
    (void)kind;
    trace_must_be_possible();
    (void)from_call_to_end(NULL);
    path_try(&path, from_call_to_end);
    free(path.places);
}

/* ---- standing still */

/* How many of the calls have ended, without waiting for them. */
static int count_ended(weft_future *futures[CALLS])
{
    int ended = 0;
    for (int i = 0; i < CALLS; i++)
        ended += weft_future_wait(futures[i], WEFT_NOW) != -ETIMEDOUT;
    return ended;
}

/* One of two workers stands still, where it may have a call; the other one does the rest. Then it
 * goes on. */
static bool stand_still(const struct place *place)
{
    weft_future *futures[CALLS];
    clear_board();
    futures[0] = submit(0);
    pid_t worker = await_worker();
    trace_stop(worker, 0);
    atomic_store(&board->gate, true);
    for (int i = 1; i < CALLS; i++)
        futures[i] = submit(i);
    enum trace_end end = trace_run_to(worker, place->pc, place->turn, all_ended, NULL);
    if (end == TRACE_STOPPED) {
        UNTIL(count_ended(futures) >= CALLS - 1);
        EXPECT_EQ(ptrace(PTRACE_DETACH, worker, NULL, NULL), 0);
    } else {
        trace_kill(worker); /* asleep, and all have ended */
    }
    collect(futures);
    for (int i = 0; i < CALLS; i++) {
        expect_done(i);
        EXPECT_EQ(outcomes[i].attempts, 1);
        EXPECT_EQ(atomic_load(&board->begun[i]), 1);
    }
    return end == TRACE_STOPPED;
}

TEST_PROCESSES(a_worker_that_stands_still_at_any_step_holds_up_its_call_only)
{
    (void)kind;
    trace_must_be_possible();
    prepare(1, 0, 0);
    (void)from_call_to_call(NULL); /* with one worker: it comes by everything */
    end();
    prepare(2, 0, 0);
    path_try(&path, stand_still);
    free(path.places);
    end();
}

/* ---- the start */

/* Lets the worker that is there end, and stops the one that follows it before its first
 * instruction. The zygote is traced until it has forked it. */
static pid_t next_worker(pid_t zygote, weft_future **ret_future)
{
    int status;
    unsigned long child;
    trace_stop(zygote, PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK);
    EXPECT_EQ(ptrace(PTRACE_CONT, zygote, NULL, NULL), 0);
    atomic_store(&board->gate, true);
    *ret_future = submit(1);
    EXPECT_EQ(waitpid(zygote, &status, __WALL), zygote);
    EXPECT_TRUE(WIFSTOPPED(status));
    EXPECT_NE(status >> 16, 0);
    EXPECT_EQ(ptrace(PTRACE_GETEVENTMSG, zygote, NULL, &child), 0);
    EXPECT_EQ(ptrace(PTRACE_DETACH, zygote, NULL, NULL), 0);
    EXPECT_EQ(waitpid((pid_t)child, &status, __WALL), (pid_t)child);
    EXPECT_TRUE(WIFSTOPPED(status));
    EXPECT_EQ(ptrace(PTRACE_SETOPTIONS, (pid_t)child, NULL, NULL), 0); /* it inherits them */
    return (pid_t)child;
}

static bool second_ended(const void *unused)
{
    (void)unused;
    return atomic_load(&board->ended[1]);
}

/* Kills a worker at the nth stop of its start, before or after a system call. False: it had started
 * before that. Each worker runs one call. */
static bool kill_in_start(long n)
{
    weft_future *first, *f;
    clear_board();
    first = submit(0);
    UNTIL(atomic_load(&board->worker));
    pid_t worker = next_worker(atomic_load(&board->zygote), &f);
    EXPECT_EQ(weft_future_wait(first, WEFT_FOREVER), 0);
    weft_future_close(first);
    bool begun = false;
    for (long i = 0; i < n && !begun; i++)
        begun = trace_step(PTRACE_SYSCALL, worker, second_ended, NULL) != TRACE_STOPPED ||
                atomic_load(&board->begun[1]);
    trace_kill(worker);
    int rc = weft_future_wait(f, WEFT_FOREVER);
    if (!begun) {
        EXPECT_EQ(rc, 0);
        EXPECT_EQ(weft_future_outcome(f)->attempts, 1);
    }
    weft_future_close(f);
    return !begun;
}

TEST_PROCESSES(a_death_at_any_step_of_the_start_costs_no_call)
{
    (void)kind;
    trace_must_be_possible();
    prepare(1, 0, 1);
    long n = 0;
    while (kill_in_start(n))
        n++;
    printf("%ld stops\n", n);
    EXPECT_GT(n, 10);
    end();
}
