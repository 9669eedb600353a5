/* SPDX-License-Identifier: MIT */
/*
 * Processes at work on things in shared memory while one after the other of them is killed, at any
 * moment, and replaced: the others count right, lose nothing but what the dead had, and go on.
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include <weft.h>

#include "stress.h"

enum { WORKERS = 4, LIVES_MAX = 4096, NUMBERS_MAX = 1 << 16 };

/* What a life has put into the queue, and what of it came out. */
struct ledger {
    atomic_uint put;
    atomic_uchar got[NUMBERS_MAX];
};

static struct {
    atomic_uint lives; /* begun so far */
    atomic_bool stop;
    uint64_t seed;
    weft_lock lock;
    weft_rlock rlock;
    weft_condition changed;
    weft_semaphore permits;
    weft_once onces[64];
    weft_queue *queue;
    struct ledger *ledgers; /* a life each */
    /* Guarded by lock: */
    uint64_t made, used, counter, deaths_told;
    uint64_t sums[LIVES_MAX];
    bool inside;
    /* Guarded by rlock: */
    uint64_t twice[2];
    atomic_ulong given, taken, once_runs[64];
    atomic_ulong work; /* anybody's: shows that they go on */
} * shared;
STRANDS_KEEP(shared)

static struct strands *workers[WORKERS];

/* A number that is only this process's. */
static uint32_t begin_life(void)
{
    uint32_t life = atomic_fetch_add(&shared->lives, 1);
    EXPECT_LT(life, LIVES_MAX);
    return life;
}

/*
 * Spaces the kills over time, and paces those who have nothing to do; nobody relies on how long it
 * takes. (Turns given up to others were tried: their length depends on who waits, by a thousand.)
 */
static void pause_ns(int64_t ns)
{
    nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

/* Kills and replaces workers until time is up. How many. */
static unsigned kill_for_a_while(void (*work)(size_t index))
{
    struct dice dice = dice_of(shared->seed, 1000);
    weft_deadline end = stress_end();
    unsigned kills = 0;
    while (weft_left(end) > 0 && atomic_load(&shared->lives) < LIVES_MAX - WORKERS) {
        size_t victim = dice_below(&dice, WORKERS);
        pause_ns((int64_t)dice_below(&dice, 3000) * 1000);
        strands_kill(workers[victim], 0);
        strands_join(workers[victim]);
        workers[victim] = strands_start(1, work);
        kills++;
    }
    return kills;
}

/* All of it: starts workers, kills, sees that those who are left go on, and lets them end. */
static unsigned run(void (*work)(size_t index), void (*end)(void))
{
    for (size_t i = 0; i < WORKERS; i++)
        workers[i] = strands_start(1, work);
    unsigned kills = kill_for_a_while(work);
    unsigned long before = atomic_load(&shared->work);
    UNTIL(atomic_load(&shared->work) > before + 100);
    atomic_store(&shared->stop, true);
    end();
    for (size_t i = 0; i < WORKERS; i++)
        strands_join(workers[i]);
    printf("%u kills, %lu pieces of work\n", kills, atomic_load(&shared->work));
    return kills;
}

static void nothing(void)
{
}

/* ---- locks, semaphore, once */

static uint64_t sum_of_all(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < LIVES_MAX; i++)
        sum += shared->sums[i];
    return sum;
}

/* Takes the lock, and repairs what a dead one may have left half done. */
static void take_lock(weft_deadline deadline)
{
    int rc;
    while ((rc = weft_lock_acquire(&shared->lock, deadline)) == -ETIMEDOUT)
        deadline = WEFT_FOREVER;
    if (rc == -EOWNERDEAD) {
        shared->made = sum_of_all();
        shared->counter = shared->made - shared->used;
        shared->inside = false;
        shared->deaths_told++;
        rc = weft_lock_recover(&shared->lock);
    }
    EXPECT_EQ(rc, 0);
    EXPECT_FALSE(shared->inside);
    EXPECT_EQ(shared->made - shared->used, shared->counter);
    shared->inside = true;
}

static void release_lock(void)
{
    shared->inside = false;
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

static void count_under_lock(uint32_t life, weft_deadline deadline)
{
    take_lock(deadline);
    shared->sums[life]++;
    shared->made++;
    shared->counter++;
    release_lock();
}

static void count_under_rlock(void)
{
    int rc = weft_rlock_acquire(&shared->rlock, WEFT_FOREVER);
    if (rc == -EOWNERDEAD) {
        shared->twice[1] = shared->twice[0];
        rc = weft_rlock_recover(&shared->rlock);
    }
    EXPECT_EQ(rc, 0);
    weft_rlock_lock(&shared->rlock);
    EXPECT_EQ(shared->twice[0], shared->twice[1]);
    shared->twice[0]++;
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
    shared->twice[1]++;
    EXPECT_EQ(weft_rlock_release(&shared->rlock), 0);
}

static void use_permits(struct dice *dice)
{
    if (dice_below(dice, 2)) {
        EXPECT_EQ(weft_semaphore_release(&shared->permits, 1), 0);
        atomic_fetch_add(&shared->given, 1);
    } else if (weft_semaphore_acquire(&shared->permits, dice_deadline(dice)) == 0) {
        atomic_fetch_add(&shared->taken, 1);
    }
}

static int run_slowly(void *ctx)
{
    for (int i = 0; i < 5; i++)
        sched_yield();
    atomic_fetch_add((atomic_ulong *)ctx, 1);
    return 0;
}

static void work_on_everything(size_t index)
{
    (void)index;
    uint32_t life = begin_life();
    struct dice dice = dice_of(shared->seed, life);
    while (!atomic_load(&shared->stop)) {
        count_under_lock(life, dice_deadline(&dice));
        count_under_rlock();
        use_permits(&dice);
        size_t i = dice_below(&dice, 64);
        EXPECT_EQ(weft_once_run(&shared->onces[i], run_slowly, &shared->once_runs[i]), 0);
        atomic_fetch_add(&shared->work, 1);
    }
}

TEST(what_locks_guard_is_counted_right_whoever_dies)
{
    strands_must_be_processes();
    shared->seed = stress_seed();
    long kills = run(work_on_everything, nothing);
    take_lock(WEFT_FOREVER);
    EXPECT_EQ(shared->made, sum_of_all());
    release_lock();
    EXPECT_EQ(shared->twice[0], shared->twice[1]);
    long lost = (long)atomic_load(&shared->given) - (long)atomic_load(&shared->taken) -
                (long)weft_semaphore_value(&shared->permits);
    EXPECT_LE(lost, kills);
    EXPECT_GE(lost, -kills);
    for (size_t i = 0; i < 64; i++) {
        unsigned long runs = atomic_load(&shared->once_runs[i]);
        EXPECT_EQ(weft_once_run(&shared->onces[i], run_slowly, &shared->once_runs[i]), 0);
        EXPECT_GE(atomic_load(&shared->once_runs[i]), 1);
        EXPECT_LE(atomic_load(&shared->once_runs[i]), runs + 1);
    }
}

/* ---- condition */

static bool has_some(void *ctx)
{
    (void)ctx;
    return shared->counter > 0 || atomic_load(&shared->stop);
}

static void use_one(void)
{
    take_lock(WEFT_FOREVER);
    shared->inside = false;
    int rc = weft_condition_wait_for(&shared->changed, &shared->lock, has_some, NULL, WEFT_FOREVER);
    if (rc == -EOWNERDEAD) {
        EXPECT_EQ(weft_lock_release(&shared->lock), 0); /* whoever takes it next repairs */
        return;
    }
    EXPECT_EQ(rc, 0);
    EXPECT_FALSE(shared->inside);
    shared->inside = true;
    if (shared->counter) {
        shared->used++;
        shared->counter--;
    }
    release_lock();
}

static void make_one(uint32_t life)
{
    count_under_lock(life, WEFT_FOREVER);
    weft_condition_notify(&shared->changed, 1);
}

static void make_or_use(size_t index)
{
    (void)index;
    uint32_t life = begin_life();
    struct dice dice = dice_of(shared->seed, life);
    while (!atomic_load(&shared->stop)) {
        if (dice_below(&dice, 2))
            make_one(life);
        else
            use_one();
        atomic_fetch_add(&shared->work, 1);
    }
}

/* All may wait at the same time: somebody who does not makes some. */
static void keep_them_going(size_t index)
{
    (void)index;
    uint32_t life = begin_life();
    while (!atomic_load(&shared->stop)) {
        make_one(life);
        pause_ns(50000);
    }
}

static void wake_all(void)
{
    weft_lock_lock(&shared->lock);
    weft_condition_notify(&shared->changed, UINT32_MAX);
    EXPECT_EQ(weft_lock_release(&shared->lock), 0);
}

TEST(those_that_wait_under_a_lock_go_on_whoever_dies)
{
    strands_must_be_processes();
    shared->seed = stress_seed();
    struct strands *maker = strands_start(1, keep_them_going);
    run(make_or_use, wake_all);
    strands_join(maker);
    take_lock(WEFT_FOREVER);
    EXPECT_EQ(shared->made, sum_of_all());
}

/* ---- queue */

struct item {
    uint32_t life, number;
};

static void produce(uint32_t life)
{
    struct ledger *mine = &shared->ledgers[life];
    for (uint32_t number = 0; number < NUMBERS_MAX && !atomic_load(&shared->stop); number++) {
        struct item item = { life, number };
        int rc = weft_queue_put(shared->queue, &item, WEFT_FOREVER);
        if (rc == -EPIPE)
            return;
        EXPECT_EQ(rc, 0);
        atomic_store(&mine->put, number + 1);
    }
    while (!atomic_load(&shared->stop)) /* to be killed */
        pause_ns(WEFT_MS);
}

static void consume(struct dice *dice)
{
    for (;;) {
        struct item item;
        int rc = weft_queue_get(shared->queue, &item, dice_deadline(dice));
        if (rc == -EPIPE)
            return;
        if (rc == -ETIMEDOUT)
            continue;
        EXPECT_EQ(rc, 0);
        EXPECT_LT(item.number, NUMBERS_MAX);
        EXPECT_EQ(atomic_fetch_add(&shared->ledgers[item.life].got[item.number], 1), 0);
        atomic_fetch_add(&shared->work, 1);
        EXPECT_EQ(weft_queue_task_done(shared->queue), 0);
    }
}

static void put_or_get(size_t index)
{
    (void)index;
    uint32_t life = begin_life();
    struct dice dice = dice_of(shared->seed, life);
    if (life % 2)
        consume(&dice);
    else
        produce(life);
}

static void shut(void)
{
    weft_queue_shutdown(shared->queue, false);
}

/* Of a life's items: those that were put and never came out. */
static unsigned count_lost(const struct ledger *ledger)
{
    unsigned put = atomic_load(&ledger->put), lost = 0;
    for (unsigned i = 0; i < put; i++)
        lost += !atomic_load(&ledger->got[i]);
    for (unsigned i = put + 1; i < NUMBERS_MAX; i++) /* the next one may have been put */
        EXPECT_EQ(atomic_load(&ledger->got[i]), 0);
    return lost;
}

static void take_the_rest(void)
{
    struct item item;
    int rc;
    while ((rc = weft_queue_get(shared->queue, &item, WEFT_FOREVER)) == 0)
        EXPECT_EQ(atomic_fetch_add(&shared->ledgers[item.life].got[item.number], 1), 0);
    EXPECT_EQ(rc, -EPIPE);
}

/* One producer and one consumer are never killed, so that there always are both. */
TEST(items_come_out_once_and_none_is_lost_but_with_its_taker)
{
    strands_must_be_processes();
    shared->seed = stress_seed();
    shared->ledgers = weft_shared_alloc(LIVES_MAX * sizeof *shared->ledgers);
    EXPECT_TRUE(shared->ledgers);
    EXPECT_EQ(weft_queue_open(&shared->queue, sizeof(struct item), 7, WEFT_SHARED), 0);
    struct strands *others = strands_start(2, put_or_get);
    unsigned kills = run(put_or_get, shut);
    take_the_rest();
    strands_join(others);
    unsigned lost = 0;
    for (unsigned life = 0; life < atomic_load(&shared->lives); life++)
        lost += count_lost(&shared->ledgers[life]);
    printf("%u items lost\n", lost);
    EXPECT_LE(lost, kills);
    weft_queue_close(shared->queue);
}
