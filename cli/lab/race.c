/* SPDX-License-Identifier: MIT */
/* Threads that add 1 to one counter.
 *
 * Without a lock each of them reads the counter, adds, and writes it back; what another one wrote
 * in between is overwritten, and lost. Reading and writing are atomic accesses, relaxed, so that
 * this is a race between updates and not between bytes: C defines what happens, and it is what
 * `count++` compiles to. All begin together, or the first would be done before the second starts.
 */
#include "race.h"

#include <stdatomic.h>

enum { UPDATES = 2000000, TRIES_MAX = 25, THREADS_MAX = 16 };

#define FRESH_NS    (10 * WEFT_US)
#define PATIENCE_NS (80 * WEFT_MS) /* in each try: 25 of them take 2 s */

struct counter {
    weft_lock lock;
    uint32_t threads;
    bool locked;
    int64_t patience_ns;                                /* for all to be on a CPU */
    atomic_uint_fast32_t began;                         /* threads */
    atomic_int_fast64_t seen_ns[THREADS_MAX];           /* when each of them last ran */
    atomic_bool go;                                     /* they may add */
    int64_t begin_ns[THREADS_MAX], end_ns[THREADS_MAX]; /* of each; its own until it has ended */
    atomic_uint_fast64_t value;
};

/* All relaxed: nothing else is published by the counter. */
static void add_one(struct counter *counter)
{
    uint64_t value = atomic_load_explicit(&counter->value, memory_order_relaxed);

    atomic_store_explicit(&counter->value, value + 1, memory_order_relaxed);
}

static void add_all(struct counter *counter)
{
    for (int i = 0; i < UPDATES; i++) {
        if (counter->locked)
            weft_lock_lock(&counter->lock);
        add_one(counter);
        if (counter->locked)
            (void)weft_lock_release(&counter->lock);
    }
}

static bool all_run(const struct counter *counter, int64_t now_ns)
{
    for (uint32_t i = 0; i < counter->threads; i++)
        if (now_ns - atomic_load(&counter->seen_ns[i]) > FRESH_NS)
            return false;
    return true;
}

/* All are awake when they begin, as waking one takes as long as a good part of the adding, and on a
 * CPU: beside other programs those that queue for one would begin when the others are done. So each
 * says again and again that it runs, until all have said so a moment ago, or it has taken too long.
 */
static int wait_for_all(struct counter *counter, uint32_t number)
{
    int rc = 0;

    while (rc == 0 && atomic_load(&counter->began) < counter->threads)
        rc = weft_yield();
    int64_t give_up_ns = weft_now() + counter->patience_ns;
    while (rc == 0 && !atomic_load(&counter->go)) {
        int64_t now_ns = weft_now();
        atomic_store(&counter->seen_ns[number], now_ns);
        if (all_run(counter, now_ns) || now_ns > give_up_ns)
            atomic_store(&counter->go, true);
    }
    return rc;
}

static int add_as_a_thread(weft_call *call)
{
    struct counter *counter = call->pointer;
    uint32_t number = (uint32_t)atomic_fetch_add(&counter->began, 1);
    int rc = wait_for_all(counter, number);

    if (rc < 0)
        return rc;
    counter->begin_ns[number] = weft_now();
    add_all(counter);
    counter->end_ns[number] = weft_now();
    return 0;
}

/* From the first thread's begin to the last one's end, per update. */
static double update_ns(const struct counter *counter, uint32_t threads)
{
    int64_t begin_ns = INT64_MAX;
    int64_t end_ns = 0;

    for (uint32_t i = 0; i < threads; i++) {
        begin_ns = counter->begin_ns[i] < begin_ns ? counter->begin_ns[i] : begin_ns;
        end_ns = counter->end_ns[i] > end_ns ? counter->end_ns[i] : end_ns;
    }
    return (double)(end_ns - begin_ns) / (double)threads / UPDATES;
}

/* Returns what the counter held in the end, and *ret_ns per update; or -errno. */
static int64_t race(struct counter *counter, uint32_t threads, double *ret_ns)
{
    weft_group *group = NULL;
    int rc = weft_group_open(&group, WEFT_THREADS, &(weft_options){ .name = "race" });

    counter->threads = threads;
    atomic_store(&counter->value, 0);
    atomic_store(&counter->began, 0);
    atomic_store(&counter->go, false);
    for (uint32_t i = 0; i < threads; i++)
        atomic_store(&counter->seen_ns[i], 0);
    for (uint32_t i = 0; rc == 0 && i < threads; i++)
        rc = weft_group_start(group, add_as_a_thread, counter, WEFT_POINTER);
    if (rc == 0)
        rc = weft_group_join(group, WEFT_FOREVER);
    if (rc == 0)
        *ret_ns = update_ns(counter, threads);
    weft_group_close(group);
    return rc < 0 ? rc : (int64_t)atomic_load(&counter->value);
}

int lab_race_run(uint32_t threads, uint32_t cpus, struct lab_race *ret)
{
    struct counter counter = { .lock = WEFT_LOCK_INIT,
                               .patience_ns = threads <= cpus ? PATIENCE_NS : 0 };
    struct lab_race found = { .threads = threads, .expected = (uint64_t)threads * UPDATES };
    int64_t held;

    do {
        held = race(&counter, threads, &found.unlocked_ns);
        found.tries++;
    } while (held == (int64_t)found.expected && found.tries < TRIES_MAX);
    if (held < 0)
        return (int)held;
    found.unlocked = (uint64_t)held;
    counter.locked = true;
    held = race(&counter, threads, &found.locked_ns);
    if (held < 0)
        return (int)held;
    found.locked = (uint64_t)held;
    *ret = found;
    return 0;
}
