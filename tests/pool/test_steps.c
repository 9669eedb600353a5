/* SPDX-License-Identifier: MIT */
/*
 * Death between any two steps of a worker's loop: taking a call, running it, answering, waiting for
 * the next, being woken by it. The test walks a worker through its loop an instruction at a time
 * and notes where it came by. Then, for one place after the other, it lets another worker run up to
 * there and kills it; each time, at most the call that it was running has crashed (or was tried
 * again), every other one is done, once, and the pool goes on. Workers come from one fork, so that
 * their instructions lie at the same addresses.
 *
 * By default it is every kth place, with k such that there are about PLACES of them, and the first
 * by chance: WEFT_SEED repeats a run. WEFT_STEPS=k sets k; 1 tries every place. Of an instruction
 * that comes again and again (a worker that spins before it sleeps), the first TURNS are places.
 *
 * A worker's start is walked through by system calls instead: it is long, and nobody else sees more
 * of it than they do.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <weft.h>

#include "dying.h"
#include "kinds.h"
#include "strands.h"
#include "tracing.h"

enum { CALLS = 3, PLACES = HARNESS_SANITIZED ? 100 : 500, TURNS = 8 };

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

static void prepare(uint32_t attempts_max, uint32_t calls_per_worker_max)
{
    board = weft_shared_alloc(sizeof *board);
    EXPECT_TRUE(board);
    weft_options options = {
        .workers = 1,
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

static void expect_done(weft_future *f, int i)
{
    const int *result = weft_future_result(f, NULL);
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_DONE);
    EXPECT_TRUE(result != NULL);
    EXPECT_EQ(*result, i * i);
    EXPECT_GE(atomic_load(&board->ended[i]), 1);
}

/* The calls end, at most one of them as crashed; or tried again, if that is allowed. */
static void expect_one_lost(weft_future *futures[CALLS], const struct moment *moment, bool retried)
{
    int lost = 0;
    for (int i = 0; i < CALLS; i++) {
        int rc = weft_future_wait(futures[i], WEFT_FOREVER);
        const weft_outcome *outcome = weft_future_outcome(futures[i]);
        bool is_lost = retried ? outcome->attempts > 1 : rc != 0;
        if (moment->begun[i] && !moment->ended[i])
            EXPECT_TRUE(is_lost);
        if (is_lost)
            EXPECT_TRUE(may_be_lost(moment, i));
        if (is_lost && !retried) {
            expect_death(outcome, KILL_ITSELF);
            EXPECT_LE(atomic_load(&board->begun[i]), 1);
        } else {
            expect_done(futures[i], i);
            EXPECT_LE(atomic_load(&board->begun[i]), outcome->attempts);
        }
        lost += is_lost;
        weft_future_close(futures[i]);
    }
    EXPECT_LE(lost, 1);
}

/* ---- the way through the loop */

/* An instruction, and the how-manieth time that the worker came by it. */
struct place {
    uintptr_t pc;
    unsigned turn;
};

struct way_through {
    struct place *places;
    size_t count, room;
};

static void note(struct way_through *way, uintptr_t pc)
{
    unsigned turn = 1;
    for (size_t i = way->count; i-- > 0 && turn == 1;)
        if (way->places[i].pc == pc)
            turn = way->places[i].turn + 1;
    if (turn > TURNS)
        return;
    if (way->count == way->room) {
        way->room = way->room ? 2 * way->room : 1024;
        way->places = realloc(way->places, way->room * sizeof *way->places);
        EXPECT_TRUE(way->places);
    }
    way->places[way->count++] = (struct place){ pc, turn };
}

static void walk(pid_t worker, struct way_through *ret)
{
    do
        note(ret, trace_pc(worker));
    while (trace_step(PTRACE_SINGLESTEP, worker, all_ended, NULL) == TRACE_STOPPED);
}

/* Walks the worker to the loop's end, or runs it to a place on the way, and kills it. True: it came
 * there. A worker may go another way than the one before it; then it dies asleep. */
static bool go_and_kill(pid_t worker, struct way_through *way, const struct place *place,
                        struct moment *ret)
{
    bool there = false;
    if (place)
        there = trace_run_to(worker, place->pc, place->turn, all_ended, NULL) == TRACE_STOPPED;
    else
        walk(worker, way);
    *ret = look();
    trace_kill(worker);
    return there;
}

/* From the end of one call through two more, which wait already, until it sleeps. */
static bool from_call_to_call(struct way_through *way, const struct place *place, bool retried)
{
    weft_future *futures[CALLS];
    struct moment moment;
    clear_board();
    futures[0] = submit(0);
    UNTIL(atomic_load(&board->worker));
    pid_t worker = atomic_load(&board->worker);
    for (int i = 1; i < CALLS; i++)
        futures[i] = submit(i);
    trace_stop(worker, 0);
    atomic_store(&board->gate, true);
    bool there = go_and_kill(worker, way, place, &moment);
    expect_one_lost(futures, &moment, retried);
    return there;
}

/* From the sleep that follows a call through a call that wakes it, and one that comes behind. */
static bool from_sleep_to_sleep(struct way_through *way, const struct place *place, bool retried)
{
    weft_future *futures[CALLS];
    struct moment moment;
    clear_board();
    atomic_store(&board->gate, true);
    futures[0] = submit(0);
    EXPECT_EQ(weft_future_wait(futures[0], WEFT_FOREVER), 0);
    pid_t worker = atomic_load(&board->worker);
    UNTIL(trace_state(worker) == 'S');
    trace_stop(worker, 0);
    for (int i = 1; i < CALLS; i++)
        futures[i] = submit(i);
    bool there = go_and_kill(worker, way, place, &moment);
    expect_one_lost(futures, &moment, retried);
    return there;
}

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
    const char *said = getenv(variable);
    return said ? strtoull(said, NULL, 0) : otherwise;
}

static void kill_at_every_step(bool (*go)(struct way_through *, const struct place *, bool),
                               bool retried)
{
    struct way_through way = { 0 };
    size_t came_there = 0, tried = 0;
    trace_must_be_possible();
    prepare(retried ? 3 : 0, 0);
    (void)go(&way, NULL, retried);
    size_t stride = (size_t)number_from("WEFT_STEPS", way.count / PLACES);
    stride += stride == 0;
    uint64_t seed = number_from("WEFT_SEED", (uint64_t)weft_now());
    printf("%zu places, every %zuth, WEFT_SEED=%" PRIu64 "\n", way.count, stride, seed);
    fflush(stdout);
    for (size_t i = seed % stride; i < way.count; i += stride, tried++)
        came_there += go(NULL, &way.places[i], retried);
    printf("came to %zu of %zu\n", came_there, tried);
    EXPECT_GT(came_there, tried / 2);
    free(way.places);
    end();
}

TEST_PROCESSES(a_death_at_any_step_from_call_to_call_costs_one)
{
    (void)kind;
    kill_at_every_step(from_call_to_call, false);
}

TEST_PROCESSES(a_death_at_any_step_from_call_to_call_is_made_good)
{
    (void)kind;
    kill_at_every_step(from_call_to_call, true);
}

TEST_PROCESSES(a_death_at_any_step_from_sleep_to_sleep_costs_one)
{
    (void)kind;
    kill_at_every_step(from_sleep_to_sleep, false);
}

TEST_PROCESSES(a_death_at_any_step_from_sleep_to_sleep_is_made_good)
{
    (void)kind;
    kill_at_every_step(from_sleep_to_sleep, true);
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
    prepare(0, 1);
    long n = 0;
    while (kill_in_start(n))
        n++;
    printf("%ld stops\n", n);
    EXPECT_GT(n, 10);
    end();
}
