/* SPDX-License-Identifier: MIT */
/*
 * Chaos: workers of a pool of processes are killed at random while calls go through, and every call
 * is checked: none is lost, none runs twice, none gives a wrong result. Where a call may be tried
 * again, all succeed; where it may not, each that crashed is matched with a kill. Others are
 * stopped for a while instead, which costs nothing.
 *
 * WEFT_CHAOS_CALLS   how many calls each test makes (a million: some ten seconds)
 * WEFT_CHAOS_KILLS   how many workers each test kills, spread evenly over the calls
 * WEFT_SEED          repeats the choices
 *
 * A worker tells its id in enter, and each call says in shared memory that it begins, who runs it,
 * and that it ends. The killer opens a pidfd before it looks whether the process is still a child
 * of the zygote, so that it never kills a stranger that was given the id of a dead worker.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weft.h>

#include "kinds.h"
#include "stress.h"

enum { SLOTS = 64, WORKERS = 3, CHUNK = 3000, WINDOW = 50, CALLERS = 3 };

/* What became of one call. */
struct record {
    atomic_uint begun, ended;
    atomic_int runner; /* the process that began it last */
};

/* In shared memory. */
struct board {
    atomic_int zygote, pids[SLOTS];
    atomic_uint slots, done;
    struct record records[];
};

static struct board *board;
static weft_pool *pool;
static uint64_t seed;
static uint32_t calls, kills_max;

/* The killer's. */
static atomic_bool stop;
static int *killed;          /* ids, 0: matched */
static atomic_uint kills;    /* or stops */
static bool kills_are_paced; /* by the number of calls that are done */

static uint32_t number_from(const char *variable, uint32_t otherwise)
{
    const char *said = getenv(variable);
    return said ? (uint32_t)strtoul(said, NULL, 0) : otherwise;
}

/* ---- in the workers */

static struct board *board_of(const weft_call *call)
{
    return *(struct board *const *)call->context;
}

static int show_id(weft_call *call, void **ret_worker)
{
    struct board *its = board_of(call);
    atomic_store(&its->zygote, getppid());
    atomic_store(&its->pids[atomic_fetch_add(&its->slots, 1) % SLOTS], getpid());
    *ret_worker = its;
    return 0;
}

/* The right result of call n. */
static uint64_t mix(uint64_t n)
{
    n = (n + 1) * UINT64_C(0x9E3779B97F4A7C15);
    return n ^ n >> 29;
}

static struct record *begin(weft_call *call, uint32_t n)
{
    struct board *its = board_of(call);
    EXPECT_TRUE(call->worker == its);
    struct record *record = &its->records[n];
    atomic_store(&record->runner, getpid());
    EXPECT_LT(atomic_fetch_add(&record->begun, 1), call->attempt);
    return record;
}

static int end(weft_call *call, struct record *record, int rc)
{
    atomic_fetch_add(&record->ended, 1);
    atomic_fetch_add(&board_of(call)->done, 1);
    return rc;
}

static int mix_number(weft_call *call)
{
    uint32_t n = *(const uint32_t *)call->arg;
    struct record *record = begin(call, n);
    uint64_t result = mix(n);
    return end(call, record, weft_call_return(call, &result, sizeof result));
}

/* A number and then bytes that follow from it; as many come back, each with one added. */
static int add_to_bytes(weft_call *call)
{
    uint32_t n = *(const uint32_t *)call->arg;
    struct record *record = begin(call, n);
    const unsigned char *arg = call->arg;
    unsigned char *bytes = malloc(call->arg_bytes);
    EXPECT_TRUE(bytes);
    memcpy(bytes, arg, sizeof n);
    for (size_t i = sizeof n; i < call->arg_bytes; i++)
        bytes[i] = (unsigned char)(arg[i] + 1);
    int rc = weft_call_return(call, bytes, call->arg_bytes);
    free(bytes);
    return end(call, record, rc);
}

/* ---- the killer */

static pid_t parent_of(pid_t pid)
{
    char path[64];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *stat = fopen(path, "re");
    if (stat && fscanf(stat, "%*d (%*[^)]) %*c %d", &parent) != 1)
        parent = 0;
    if (stat)
        fclose(stat);
    return parent;
}

/* Opens the worker with this id. -1: there is none any more. */
static int open_worker(pid_t pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd >= 0 && parent_of(pid) != atomic_load(&board->zygote)) {
        close(pidfd);
        return -1;
    }
    return pidfd;
}

static bool signal_worker(int pidfd, int signo)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) == 0;
}

static bool kill_worker(pid_t pid)
{
    int pidfd = open_worker(pid);
    if (pidfd < 0)
        return false;
    bool sent = signal_worker(pidfd, SIGKILL);
    close(pidfd);
    return sent;
}

/* How many calls are done before the next kill, or one after that. */
static uint32_t due_after(uint32_t more_kills)
{
    uint32_t step = calls / kills_max + 1;
    return (kills + more_kills) * step + step / 2;
}

/* Kills one worker each time that so many more calls are done, at any moment after that. */
static void kill_at_random(size_t index)
{
    struct dice dice = dice_of(seed, 1000 + index);
    while (kills < kills_max && !atomic_load(&stop)) {
        int pid = atomic_load(&board->pids[dice_below(&dice, SLOTS)]);
        if (atomic_load(&board->done) < due_after(0) || !pid) {
            strands_yield();
            continue;
        }
        for (volatile uint64_t i = dice_below(&dice, 100000); i > 0; i--)
            ;
        if (!kill_worker(pid)) {
            strands_yield(); /* a task must let those behind it run, who let workers begin */
            continue;
        }
        killed[kills] = pid;
        kills++;
    }
}

/* Stops one worker after the other for a while, wherever it is, instead of killing it. */
static void stop_at_random(size_t index)
{
    struct dice dice = dice_of(seed, 1000 + index);
    while (!atomic_load(&stop)) {
        int pid = atomic_load(&board->pids[dice_below(&dice, SLOTS)]);
        int pidfd = pid ? open_worker(pid) : -1;
        if (pidfd < 0) {
            strands_yield();
            continue;
        }
        (void)signal_worker(pidfd, SIGSTOP);
        for (uint64_t i = dice_below(&dice, 200); i > 0; i--)
            strands_yield();
        kills += signal_worker(pidfd, SIGCONT);
        close(pidfd);
        for (uint64_t i = dice_below(&dice, 50); i > 0; i--)
            strands_yield();
    }
}

static int nothing(weft_call *call)
{
    (void)call;
    return 0;
}

/* Where calls are faster than kills: calls that do not count keep workers there to be killed. */
static void await_killer(void)
{
    while (kills_are_paced && kills < kills_max && atomic_load(&board->done) > due_after(2)) {
        weft_future *f;
        EXPECT_EQ(weft_pool_submit(pool, nothing, NULL, 0, &f, WEFT_FOREVER), 0);
        (void)!weft_future_wait(f, WEFT_FOREVER);
        weft_future_close(f);
    }
}

/* ---- what must hold */

/* Takes one kill of this process out of the account. */
static bool was_killed(int pid)
{
    for (uint32_t i = 0; i < kills; i++)
        if (killed[i] == pid) {
            killed[i] = 0;
            return true;
        }
    return false;
}

static void expect_good(uint32_t n, const weft_outcome *outcome)
{
    const struct record *record = &board->records[n];
    EXPECT_EQ(outcome->how, WEFT_DONE);
    EXPECT_GE(atomic_load(&record->ended), 1);
    EXPECT_LE(atomic_load(&record->begun), outcome->attempts);
    EXPECT_LE(atomic_load(&record->ended), atomic_load(&record->begun));
    EXPECT_LT(outcome->worker, WORKERS);
    EXPECT_LE(outcome->started_ns, outcome->ended_ns);
}

static void expect_crashed(uint32_t n, const weft_outcome *outcome)
{
    EXPECT_EQ(outcome->how, WEFT_CRASHED);
    EXPECT_EQ(outcome->signal, SIGKILL);
    EXPECT_EQ(outcome->attempts, 1);
    EXPECT_LE(atomic_load(&board->records[n].begun), 1);
}

/* Once the killer has ended: there are not more deaths than kills, each crash has one of its own.
 */
static void expect_each_crash_was_a_kill(void)
{
    uint32_t crashes = 0;
    for (uint32_t n = 0; n < calls; n++) {
        if (atomic_load(&board->records[n].begun) == atomic_load(&board->records[n].ended))
            continue;
        EXPECT_TRUE(was_killed(atomic_load(&board->records[n].runner)));
        crashes++;
    }
    EXPECT_LE(crashes, kills);
}

/* ---- running it */

static struct strands *open_pool_for(uint32_t how_many_calls, uint32_t attempts_max,
                                     void (*killer)(size_t index))
{
    calls = how_many_calls;
    kills_max = number_from("WEFT_CHAOS_KILLS", HARNESS_SANITIZED ? 20 : 100);
    seed = stress_seed();
    killed = calloc(kills_max, sizeof *killed);
    board = weft_shared_alloc(sizeof *board + calls * sizeof *board->records);
    EXPECT_TRUE(killed && board);
    weft_options options = {
        .workers = WORKERS,
        .attempts_max = attempts_max,
        .context = &board,
        .context_bytes = sizeof board,
        .enter = show_id,
    };
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    return strands_start(1, killer);
}

static struct strands *open_chaos(uint32_t how_many_calls, uint32_t attempts_max)
{
    kills_are_paced = true;
    return open_pool_for(how_many_calls, attempts_max, kill_at_random);
}

/* At least one worker dies, be it when all calls have ended. */
static void stop_killer(struct strands *killer)
{
    UNTIL(kills > 0);
    atomic_store(&stop, true);
    strands_join(killer);
    printf("%u calls, %u kills\n", calls, kills);
}

static void close_chaos(void)
{
    weft_pool_close(pool);
    weft_shared_free(board);
    free(killed);
}

static uint32_t calls_asked_for(void)
{
    return number_from("WEFT_CHAOS_CALLS", HARNESS_SANITIZED ? 30000 : 150000);
}

struct arrays {
    uint32_t in[CHUNK];
    uint64_t out[CHUNK];
};

/* A dead call may have left its result in place; the result of one that is not in place is cleared.
 */
static void expect_result(const struct arrays *arrays, bool in_place, uint32_t i, bool done)
{
    if (done || (in_place && arrays->out[i]))
        EXPECT_EQ(arrays->out[i], mix(arrays->in[i]));
    else
        EXPECT_EQ(arrays->out[i], 0);
}

/*
 * Maps over calls from to from + count, every other time over arrays in shared memory. Gives how
 * many crashed, how many attempts there were.
 */
static uint32_t map_chunk(uint32_t from, uint32_t count, uint64_t *attempts)
{
    static struct arrays own;
    static weft_outcome outcomes[CHUNK];
    bool in_place = from / CHUNK % 2;
    struct arrays *arrays = in_place ? weft_shared_alloc(sizeof *arrays) : &own;
    uint32_t crashed = 0;
    EXPECT_TRUE(arrays);
    for (uint32_t i = 0; i < count; i++)
        arrays->in[i] = from + i;
    weft_map map = {
        .in = arrays->in,
        .count = count,
        .in_bytes = sizeof arrays->in[0],
        .out = arrays->out,
        .out_bytes = sizeof arrays->out[0],
        .outcomes = outcomes,
        .on_failure = WEFT_GO_ON,
    };
    int rc = weft_pool_map(pool, mix_number, &map, WEFT_FOREVER);
    for (uint32_t i = 0; i < count; i++) {
        if (outcomes[i].how == WEFT_DONE)
            expect_good(from + i, &outcomes[i]);
        else
            expect_crashed(from + i, &outcomes[i]);
        expect_result(arrays, in_place, i, outcomes[i].how == WEFT_DONE);
        crashed += outcomes[i].how != WEFT_DONE;
        *attempts += outcomes[i].attempts;
    }
    EXPECT_EQ(rc, crashed ? -ECHILD : 0);
    if (in_place)
        weft_shared_free(arrays);
    await_killer();
    return crashed;
}

TEST_PROCESSES(maps_with_retries_lose_nothing)
{
    uint64_t attempts = 0;
    (void)kind;
    struct strands *killer = open_chaos(calls_asked_for(), 1000);
    for (uint32_t n = 0; n < calls; n += CHUNK)
        EXPECT_EQ(map_chunk(n, calls - n < CHUNK ? calls - n : CHUNK, &attempts), 0);
    stop_killer(killer);
    EXPECT_LE(attempts, (uint64_t)calls + kills); /* a kill costs one attempt at most */
    close_chaos();
}

TEST_PROCESSES(maps_without_retries_lose_what_was_killed)
{
    uint64_t attempts = 0;
    uint32_t crashed = 0;
    (void)kind;
    struct strands *killer = open_chaos(calls_asked_for(), 0);
    for (uint32_t n = 0; n < calls; n += CHUNK)
        crashed += map_chunk(n, calls - n < CHUNK ? calls - n : CHUNK, &attempts);
    stop_killer(killer);
    EXPECT_EQ(attempts, calls);
    EXPECT_LE(crashed, kills);
    expect_each_crash_was_a_kill();
    close_chaos();
}

/* ---- calls submitted by several strands */

static atomic_uint taken, lost;

static bool take_window(uint32_t *ret_from, uint32_t *ret_to)
{
    *ret_from = atomic_fetch_add(&taken, WINDOW);
    *ret_to = *ret_from + WINDOW < calls ? *ret_from + WINDOW : calls;
    return *ret_from < calls;
}

static void check_number(uint32_t n, weft_future *f)
{
    if (weft_future_wait(f, WEFT_FOREVER) == 0) {
        expect_good(n, weft_future_outcome(f));
        EXPECT_EQ(*(const uint64_t *)weft_future_result(f, NULL), mix(n));
    } else {
        expect_crashed(n, weft_future_outcome(f));
        EXPECT_TRUE(weft_future_result(f, NULL) == NULL);
        atomic_fetch_add(&lost, 1);
    }
    weft_future_close(f);
}

static void submit_and_check(size_t index)
{
    weft_future *futures[WINDOW];
    uint32_t from, to;
    (void)index;
    while (take_window(&from, &to)) {
        for (uint32_t n = from; n < to; n++)
            EXPECT_EQ(
                weft_pool_submit(pool, mix_number, &n, sizeof n, &futures[n - from], WEFT_FOREVER),
                0);
        for (uint32_t n = from; n < to; n++)
            check_number(n, futures[n - from]);
        await_killer();
    }
}

TEST_PROCESSES(submitters_with_retries_lose_nothing)
{
    (void)kind;
    struct strands *killer = open_chaos(calls_asked_for() / 5, 1000);
    strands_join(strands_start(CALLERS, submit_and_check));
    EXPECT_EQ(atomic_load(&lost), 0);
    stop_killer(killer);
    close_chaos();
}

TEST_PROCESSES(submitters_without_retries_lose_what_was_killed)
{
    (void)kind;
    struct strands *killer = open_chaos(calls_asked_for() / 5, 0);
    strands_join(strands_start(CALLERS, submit_and_check));
    stop_killer(killer);
    EXPECT_LE(atomic_load(&lost), kills);
    expect_each_crash_was_a_kill();
    close_chaos();
}

/* One at a time: the worker sleeps between two calls, and is killed there as often as in them. */
static void submit_one_by_one(size_t index)
{
    uint32_t n;
    (void)index;
    while ((n = atomic_fetch_add(&taken, 1)) < calls) {
        weft_future *f;
        EXPECT_EQ(weft_pool_submit(pool, mix_number, &n, sizeof n, &f, WEFT_FOREVER), 0);
        check_number(n, f);
        await_killer();
    }
}

TEST_PROCESSES(calls_one_by_one_with_retries_lose_nothing)
{
    (void)kind;
    struct strands *killer = open_chaos(calls_asked_for() / 10, 1000);
    strands_join(strands_start(2, submit_one_by_one));
    EXPECT_EQ(atomic_load(&lost), 0);
    stop_killer(killer);
    close_chaos();
}

/* ---- workers that stand still for a while */

static void expect_each_ran_once(void)
{
    for (uint32_t n = 0; n < calls; n++) {
        EXPECT_EQ(atomic_load(&board->records[n].begun), 1);
        EXPECT_EQ(atomic_load(&board->records[n].ended), 1);
    }
}

TEST_PROCESSES(maps_over_workers_that_stand_still_at_times_are_done)
{
    uint64_t attempts = 0;
    (void)kind;
    struct strands *stopper = open_pool_for(calls_asked_for(), 0, stop_at_random);
    for (uint32_t n = 0; n < calls; n += CHUNK)
        EXPECT_EQ(map_chunk(n, calls - n < CHUNK ? calls - n : CHUNK, &attempts), 0);
    stop_killer(stopper);
    EXPECT_EQ(attempts, calls);
    expect_each_ran_once();
    close_chaos();
}

TEST_PROCESSES(submitters_to_workers_that_stand_still_at_times_are_served)
{
    (void)kind;
    struct strands *stopper = open_pool_for(calls_asked_for() / 5, 0, stop_at_random);
    strands_join(strands_start(CALLERS, submit_and_check));
    stop_killer(stopper);
    EXPECT_EQ(atomic_load(&lost), 0);
    expect_each_ran_once();
    close_chaos();
}

/* ---- arguments and results of all sizes */

static size_t size_for(struct dice *dice)
{
    size_t most = (size_t)1 << (4 + dice_below(dice, 17)); /* 16 bytes to 1 MiB */
    return sizeof(uint32_t) + dice_below(dice, most);
}

static void check_bytes(const unsigned char *arg, size_t bytes, weft_future *f)
{
    size_t result_bytes;
    uint32_t n;
    memcpy(&n, arg, sizeof n);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    expect_good(n, weft_future_outcome(f));
    const unsigned char *result = weft_future_result(f, &result_bytes);
    EXPECT_EQ(result_bytes, bytes);
    EXPECT_MEM(result, arg, sizeof n);
    for (size_t i = sizeof n; i < bytes; i++)
        if (result[i] != (unsigned char)(arg[i] + 1))
            FAIL("call %u: byte %zu of %zu is wrong", n, i, bytes);
    weft_future_close(f);
}

static void submit_bytes(size_t index)
{
    enum { AT_ONCE = 8 };
    struct dice dice = dice_of(seed, index);
    uint32_t n;
    unsigned char *args[AT_ONCE];
    weft_future *futures[AT_ONCE];
    size_t sizes[AT_ONCE];
    for (bool more = true; more;) {
        int count = 0;
        while (count < AT_ONCE && (more = (n = atomic_fetch_add(&taken, 1)) < calls)) {
            sizes[count] = size_for(&dice);
            args[count] = malloc(sizes[count]);
            EXPECT_TRUE(args[count]);
            memset(args[count], (int)(mix(n) & 0xff), sizes[count]);
            memcpy(args[count], &n, sizeof n);
            EXPECT_EQ(weft_pool_submit(pool, add_to_bytes, args[count], sizes[count],
                                       &futures[count], WEFT_FOREVER),
                      0);
            count++;
        }
        for (int i = 0; i < count; i++) {
            check_bytes(args[i], sizes[i], futures[i]);
            free(args[i]);
        }
        await_killer();
    }
}

TEST_PROCESSES(large_and_small_bytes_with_retries_arrive_whole)
{
    (void)kind;
    struct strands *killer = open_chaos(calls_asked_for() / 50, 1000);
    strands_join(strands_start(CALLERS, submit_bytes));
    stop_killer(killer);
    close_chaos();
}
