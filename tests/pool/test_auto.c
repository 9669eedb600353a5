/* SPDX-License-Identifier: MIT */
/*
 * Pools of kind auto, with calls that really wait and compute: how many workers they come to have,
 * and what they say of it. What holds for every kind of pool is in test_pool.c and test_map.c; what
 * is decided, and when, in test_auto_decide.c; pools that have processes in test_auto_moves.c.
 *
 * Nobody says here how long a pool may take: a call that waits for as many others as the pool has
 * to grow to shows that it has grown.
 */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <weft/barrier.h>
#include <weft/event.h>
#include <weft/group.h>
#include <weft/pool.h>

#include "base/cpus.h"
#include "base/memory.h"
#include "auto.h"
#include "calls.h"
#include "harness.h"
#include "kinds.h"
#include "strands.h"

static unsigned threads_of(weft_pool *pool)
{
    return number_of(pool, "thread");
}

/* More than the machine has CPUs; no more than such a pool has if nobody says how many. */
static uint32_t many(void)
{
    uint32_t cpus = base_cpus();
    if (cpus >= 250)
        SKIP("with so many CPUs there are no more workers than they");
    return 4 * cpus + 24 < 256 ? 4 * cpus + 24 : 256;
}

static weft_barrier barrier;
static weft_event gate = WEFT_EVENT_INIT;
static atomic_uint running, ran, met;

static int meet(weft_call *call)
{
    (void)call;
    int rc = weft_barrier_wait(&barrier, WEFT_FOREVER);
    atomic_fetch_add(&met, 1);
    return rc < 0 ? rc : 0;
}

static int wait_at_gate(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&running, 1);
    int rc = weft_event_wait(&gate, WEFT_FOREVER);
    atomic_fetch_sub(&running, 1);
    return rc;
}

static int compute(weft_call *call)
{
    (void)call;
    burn(WEFT_MS / 2);
    atomic_fetch_add(&ran, 1);
    return 0;
}

/* As many calls as wait for each other. */
static void meet_all(weft_pool *pool, uint32_t n)
{
    weft_barrier_init(&barrier, n, NULL, NULL);
    atomic_store(&met, 0);
    submit_all(pool, meet, n);
    UNTIL(atomic_load(&met) == n);
}

/* ---- growing */

TEST(calls_that_wait_for_each_other_all_run)
{
    weft_pool *pool = open_auto((weft_options){ .name = "meet" });
    EXPECT_EQ(threads_of(pool), base_cpus());
    EXPECT_HAS(explain(pool), "not measured yet; ");
    meet_all(pool, many());
    UNTIL(says(pool, " % waiting: "));
    weft_pool_close(pool);
}

TEST(items_of_a_map_that_wait_for_each_other_all_run)
{
    weft_pool *pool = open_auto((weft_options){ 0 });
    weft_barrier_init(&barrier, many(), NULL, NULL);
    EXPECT_EQ(weft_pool_map(pool, meet, &(weft_map){ .count = many() }, WEFT_FOREVER), 0);
    weft_pool_close(pool);
}

TEST(calls_of_a_group_that_wait_for_each_other_all_run)
{
    weft_pool *pool = open_auto((weft_options){ 0 });
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, WEFT_AUTO, NULL), -ENOTSUP);
    EXPECT_EQ(weft_group_open(&g, WEFT_THREADS, &(weft_options){ .pool = pool }), -EINVAL);
    EXPECT_EQ(weft_group_open(&g, WEFT_AUTO, &(weft_options){ .pool = pool }), 0);
    weft_barrier_init(&barrier, many(), NULL, NULL);
    for (uint32_t i = 0; i < many(); i++)
        EXPECT_EQ(weft_group_start(g, meet, NULL, 0), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
    weft_pool_close(pool);
}

/* Who waits for others of its own pool waits, too: they are not all run inside of it. */
static int meet_twice(weft_call *call)
{
    weft_pool *pool = *(weft_pool *const *)call->arg;
    weft_future *f;
    int rc = weft_pool_submit(pool, meet, NULL, 0, &f, WEFT_FOREVER);
    if (rc < 0)
        return rc;
    rc = weft_future_wait(f, WEFT_FOREVER);
    weft_future_close(f);
    return rc;
}

TEST(calls_inside_of_calls_that_wait_for_each_other_all_run)
{
    weft_pool *pool = open_auto((weft_options){ 0 });
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, WEFT_AUTO, &(weft_options){ .pool = pool }), 0);
    weft_barrier_init(&barrier, many(), NULL, NULL);
    for (uint32_t i = 0; i < many(); i++)
        EXPECT_EQ(weft_group_start(g, meet_twice, &pool, sizeof pool), 0);
    EXPECT_EQ(weft_group_join(g, WEFT_FOREVER), 0);
    weft_group_close(g);
    weft_pool_close(pool);
}

TEST(it_grows_to_the_most_workers_and_says_so)
{
    weft_pool *pool = open_auto((weft_options){ .workers = 7 });
    weft_event_clear(&gate);
    submit_all(pool, wait_at_gate, 20);
    UNTIL(says(pool, "% waiting: I/O-bound; 7 threads on ") &&
          says(pool, ", the most that options.workers allows"));
    EXPECT_LE(atomic_load(&running), 7);
    UNTIL(atomic_load(&running) == 7);
    weft_event_set(&gate);
    weft_pool_close(pool);
}

TEST(a_pool_of_one_stays_one)
{
    weft_pool *pool = open_auto((weft_options){ .workers = 1 });
    weft_event_clear(&gate);
    submit_all(pool, wait_at_gate, 5);
    UNTIL(says(pool, "; 1 thread on ") && says(pool, ", the most that options.workers allows"));
    EXPECT_LE(atomic_load(&running), 1);
    weft_event_set(&gate);
    weft_pool_close(pool);
}

/* Few are left, of which each worker may need two. */
TEST(it_leaves_descriptors_to_its_calls)
{
    struct rlimit limit = { .rlim_cur = 64, .rlim_max = 64 };
    if (HARNESS_VALGRIND)
        SKIP("valgrind has its own idea of how many descriptors there are");
    weft_pool *pool = open_auto((weft_options){ 0 });
    if (base_cpus() > 8)
        SKIP("it begins with more than that");
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    weft_event_clear(&gate);
    submit_all(pool, wait_at_gate, 100);
    UNTIL(says(pool, ", the most that RLIMIT_NOFILE allows"));
    EXPECT_LE(threads_of(pool), 32);
    weft_event_set(&gate);
    weft_pool_close(pool);
}

TEST(it_leaves_addresses_to_its_calls)
{
    if (HARNESS_SANITIZED || HARNESS_EMULATED)
        SKIP("what runs the test takes terabytes of addresses itself");
    if (base_cpus() > 8)
        SKIP("it begins with more than that");
    weft_pool *pool = open_auto((weft_options){ .stack_bytes = (size_t)64 << 20 });
    struct rlimit limit = { .rlim_cur = (rlim_t)2 << 30, .rlim_max = RLIM_INFINITY };
    EXPECT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    weft_event_clear(&gate);
    submit_all(pool, wait_at_gate, 100);
    UNTIL(says(pool, ", the most that RLIMIT_AS allows"));
    EXPECT_LE(threads_of(pool), 32);
    weft_event_set(&gate);
    weft_pool_close(pool);
}

/* None is left, not even to look how many there are. */
TEST(without_a_descriptor_it_does_not_grow)
{
    struct rlimit limit = { .rlim_cur = 64, .rlim_max = 64 };
    if (HARNESS_VALGRIND)
        SKIP("valgrind has its own idea of how many descriptors there are");
    weft_pool *pool = open_auto((weft_options){ 0 });
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int fds[64], n = 0;
    uint32_t base = base_cpus();
    while ((fds[n] = dup(0)) >= 0)
        n++;
    weft_event_clear(&gate);
    submit_all(pool, wait_at_gate, many());
    UNTIL(says(pool, ", the most that RLIMIT_NOFILE allows"));
    EXPECT_EQ(threads_of(pool), base);
    while (n)
        close(fds[--n]);
    weft_event_set(&gate);
    weft_pool_close(pool);
}

/* ---- real cgroups */

/* A cgroup for this process alone, and the one outside of it. */
static char group[200], outer_group[200];

static bool write_into(const char *to_group, const char *file, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", to_group, file);
    FILE *to = fopen(path, "we");
    if (!to)
        return false;
    bool ok = fputs(text, to) >= 0;
    return fclose(to) == 0 && ok;
}

static void leave_group(void)
{
    char pid[20];
    snprintf(pid, sizeof pid, "%d", getpid());
    (void)write_into(outer_group, "cgroup.procs", pid);
    (void)rmdir(group);
}

/* What is set in it, as this machine's version of cgroups has it. */
typedef bool setting(bool v2);

static bool enter_group_in(const char *outer, setting *set, bool v2)
{
    char pid[20];
    snprintf(pid, sizeof pid, "%d", getpid());
    snprintf(outer_group, sizeof outer_group, "%s", outer);
    snprintf(group, sizeof group, "%.150s/weft-test-%d", outer, getpid());
    if (mkdir(group, 0700) < 0)
        return false;
    if (set(v2) && write_into(group, "cgroup.procs", pid))
        return true;
    leave_group();
    return false;
}

static void enter_group(const char *v1, setting *set)
{
    if (HARNESS_EMULATED || HARNESS_VALGRIND)
        SKIP("it is too little for what runs the test");
    if (!enter_group_in(v1, set, false) && !enter_group_in("/sys/fs/cgroup", set, true))
        SKIP("no cgroup may be made here");
}

static bool set_quota(bool v2, const char *us)
{
    char max[40];
    snprintf(max, sizeof max, "%s 100000", us);
    return v2 ? write_into(group, "cpu.max", max)
              : write_into(group, "cpu.cfs_period_us", "100000") &&
                    write_into(group, "cpu.cfs_quota_us", us);
}

static bool half_a_cpu(bool v2)
{
    return set_quota(v2, "50000");
}

TEST(a_quota_is_all_the_cpus_there_are)
{
    enter_group("/sys/fs/cgroup/cpu", half_a_cpu);
    bool quota;
    if (base_cpu_thousandths(&quota) != 500) {
        leave_group();
        SKIP("the cgroup is not seen from inside");
    }
    weft_pool *pool = open_auto((weft_options){ .backlog_max = 20 });
    EXPECT_HAS(explain(pool), "; 1 thread on 0.5 CPUs (a quota)");
    while (!says(pool, "CPU-bound; 1 thread on 0.5 CPUs (a quota)"))
        submit_all(pool, compute, 10);
    meet_all(pool, 12); /* what waits takes no quota */
    EXPECT_TRUE(set_quota(true, "91000") || set_quota(false, "91000"));
    EXPECT_HAS(explain(pool), " on 1 CPU (a quota)"); /* not 0.0 */
    weft_pool_close(pool);
    leave_group();
}

static bool little_memory(bool v2)
{
    return write_into(group, v2 ? "memory.max" : "memory.limit_in_bytes", "16777216");
}

TEST(it_leaves_memory_to_its_calls)
{
    if (HARNESS_SANITIZED)
        SKIP("sanitizers take more than there is");
    enter_group("/sys/fs/cgroup/memory", little_memory);
    if (base_memory_left("") > 1 << 24) {
        leave_group();
        SKIP("the cgroup is not seen from inside");
    }
    weft_pool *pool = open_auto((weft_options){ 0 });
    weft_event_clear(&gate);
    submit_all(pool, wait_at_gate, 1000);
    UNTIL(says(pool, ", the most that there is memory for"));
    weft_event_set(&gate);
    weft_pool_close(pool);
    leave_group();
}

/* ---- CPUs that go, and come back */

/* All that were there at first, or one of them. */
static void use_cpus(bool all)
{
    static cpu_set_t first, one;
    if (!CPU_COUNT(&first)) {
        EXPECT_EQ(sched_getaffinity(0, sizeof first, &first), 0);
        for (int cpu = 0; !CPU_COUNT(&one); cpu++)
            if (CPU_ISSET(cpu, &first))
                CPU_SET(cpu, &one);
    }
    DIR *tasks = opendir("/proc/self/task");
    EXPECT_TRUE(tasks);
    for (struct dirent *entry; (entry = readdir(tasks));)
        if (entry->d_name[0] != '.')
            (void)sched_setaffinity(atoi(entry->d_name), sizeof first, all ? &first : &one);
    closedir(tasks);
}

TEST(a_pool_that_has_shrunk_with_its_cpus_grows_again)
{
    uint32_t n = base_cpus();
    if (n < 2)
        SKIP("there is one CPU only");
    weft_pool *pool = open_auto((weft_options){ .workers = n });
    use_cpus(false);
    unsigned submitted = 0;
    for (; threads_of(pool) > 1; submitted += 20)
        submit_all(pool, compute, 20);
    UNTIL(atomic_load(&ran) == submitted);
    /* It falls asleep; if not yet, it is no wonder that it grows. */
    nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
    meet_all(pool, n);
    use_cpus(true);
    weft_pool_close(pool);
}

/* ---- workers that come and go */

static atomic_int entered, left;

static int enter(weft_call *call, void **ret_worker)
{
    (void)call;
    atomic_fetch_add(&entered, 1);
    *ret_worker = malloc(1);
    return *ret_worker ? 0 : -ENOMEM;
}

static void leave(void *worker)
{
    free(worker);
    atomic_fetch_add(&left, 1);
}

TEST(workers_leave_when_there_is_nothing_for_them)
{
    weft_pool *pool = open_auto((weft_options){ .enter = enter, .leave = leave });
    int base = (int)base_cpus();
    for (int round = 0; round < 2; round++) {
        meet_all(pool, many());
        UNTIL(threads_of(pool) == base_cpus());
        UNTIL(atomic_load(&entered) - atomic_load(&left) == base);
        EXPECT_GE(atomic_load(&left), (round + 1) * ((int)many() - base));
    }
    expect_square(submit(pool, square, 5), 5);
    weft_pool_close(pool);
    EXPECT_EQ(atomic_load(&entered), atomic_load(&left));
}

TEST(workers_leave_when_calls_compute)
{
    weft_options options = { .enter = enter, .leave = leave, .backlog_max = 50 };
    weft_pool *pool = open_auto(options);
    int base = (int)base_cpus(), most = (int)many();
    meet_all(pool, many());
    while (atomic_load(&entered) - atomic_load(&left) > base + (most - base) / 4)
        submit_all(pool, compute, 20);
    UNTIL(says(pool, " % waiting: "));
    weft_pool_close(pool);
    EXPECT_EQ(atomic_load(&entered), atomic_load(&left));
    EXPECT_EQ(atomic_load(&ran) % 20, 0); /* none was lost with those who left */
}

TEST(workers_that_are_renewed_come_and_go_as_well)
{
    weft_options options = { .enter = enter, .leave = leave, .calls_per_worker_max = 2 };
    weft_pool *pool = open_auto(options);
    for (int round = 0; round < 3; round++)
        meet_all(pool, many());
    weft_pool_close(pool);
    EXPECT_EQ(atomic_load(&entered), atomic_load(&left));
}

static uint32_t doors;

static int enter_if_there_is_a_door(weft_call *call, void **ret_worker)
{
    (void)ret_worker;
    if (atomic_fetch_add(&entered, 1) < (int)doors)
        return 0;
    return weft_call_fail(call, -EUSERS, "no more than %u", doors);
}

TEST(a_pool_whose_workers_cannot_enter_grows_no_more)
{
    doors = base_cpus() + 3;
    weft_pool *pool = open_auto((weft_options){ .enter = enter_if_there_is_a_door });
    weft_event_clear(&gate);
    submit_all(pool, wait_at_gate, many());
    UNTIL(atomic_load(&running) == doors);
    UNTIL(threads_of(pool) == doors && says(pool, ", the most that could be entered"));
    weft_event_set(&gate);
    weft_pool_close(pool);
}

static unsigned threads_of_the_process(void)
{
    struct stat status; /* a link for each, and two of its own */
    EXPECT_EQ(stat("/proc/self/task", &status), 0);
    return (unsigned)status.st_nlink - 2;
}

static atomic_uint knocking;
static atomic_bool refused, welcome;

/* Those that the pool begins with may enter; others wait, and are refused until all are welcome. */
static int enter_late(weft_call *call, void **ret_worker)
{
    (void)ret_worker;
    if (atomic_load(&welcome) || atomic_fetch_add(&entered, 1) < (int)base_cpus())
        return 0;
    atomic_fetch_add(&knocking, 1);
    UNTIL(atomic_load(&refused));
    return weft_call_fail(call, -EUSERS, "not yet");
}

TEST(who_could_not_enter_when_nobody_needed_him_is_no_limit)
{
    weft_pool *pool = open_auto((weft_options){ .enter = enter_late });
    unsigned threads = threads_of_the_process();
    weft_event_clear(&gate);
    submit_all(pool, wait_at_gate, base_cpus() + 3);
    UNTIL(atomic_load(&knocking) > 0);
    weft_event_set(&gate);
    UNTIL(threads_of(pool) == base_cpus());
    atomic_store(&refused, true);
    UNTIL(threads_of_the_process() <= threads);
    atomic_store(&welcome, true);
    meet_all(pool, base_cpus() + 3);
    weft_pool_close(pool);
}

/* ---- ending, while it grows */

TEST(a_pool_that_grows_may_be_terminated)
{
    for (int round = 0; round < 10; round++) {
        weft_pool *pool = open_auto((weft_options){ .enter = enter, .leave = leave });
        weft_event_clear(&gate);
        submit_all(pool, wait_at_gate, many());
        UNTIL(atomic_load(&running) > (unsigned)round * base_cpus() / 2);
        weft_pool_terminate(pool);
        weft_pool_close(pool);
        EXPECT_EQ(atomic_load(&running), 0);
        EXPECT_EQ(atomic_load(&entered), atomic_load(&left));
    }
}

TEST(a_pool_that_grows_may_be_closed)
{
    for (int round = 0; round < 10; round++) {
        weft_pool *pool = open_auto((weft_options){ .enter = enter, .leave = leave });
        weft_barrier_init(&barrier, base_cpus(), NULL, NULL);
        submit_all(pool, meet, 8 * base_cpus());
        weft_pool_close(pool);
        EXPECT_EQ(atomic_load(&entered), atomic_load(&left));
    }
}

/* ---- idleness */

/* How often the threads of this process have gone to sleep, but for the caller. */
static unsigned long sleeps(void)
{
    unsigned long sum = 0;
    DIR *tasks = opendir("/proc/self/task");
    EXPECT_TRUE(tasks);
    for (struct dirent *entry; (entry = readdir(tasks));) {
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
            continue;
        char path[300], text[256];
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *status = fopen(path, "re");
        unsigned long n = 0;
        while (status && fgets(text, sizeof text, status))
            (void)sscanf(text, "voluntary_ctxt_switches: %lu", &n);
        if (status)
            fclose(status);
        sum += n;
    }
    closedir(tasks);
    return sum;
}

/* Counts, not times: a pool that wakes up for nothing once in 300 ms fails it. */
TEST(a_pool_with_nothing_to_decide_does_not_wake_up)
{
    if (HARNESS_SANITIZED || HARNESS_EMULATED)
        SKIP("a sanitizer wakes threads up itself");
    weft_pool *pool = open_auto((weft_options){ 0 });
    meet_all(pool, many());
    UNTIL(threads_of(pool) == base_cpus());
    meet_all(pool, base_cpus() + 1);
    UNTIL(threads_of(pool) == base_cpus());
    weft_event_clear(&gate);
    submit_all(pool, wait_at_gate, base_cpus()); /* none has to wait for a worker */
    unsigned long before = 1, after = 0;
    for (int looks = 0; before != after; looks++) {
        EXPECT_LT(looks, 20);
        before = sleeps();
        nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
        after = sleeps();
    }
    weft_event_set(&gate);
    weft_pool_close(pool);
}

/* ---- words */

TEST_EACH_KIND(every_kind_explains_itself)
{
    weft_pool *pool;
    char start[60], short_line[8];
    EXPECT_EQ(weft_pool_open(&pool, kind, &(weft_options){ .workers = 3 }), 0);
    snprintf(start, sizeof start, "as opened; %s",
             kind == WEFT_SERIAL ? "each call runs in the strand that submits it" : "3 ");
    EXPECT_EQ(strncmp(explain(pool), start, strlen(start)), 0);
    if (kind != WEFT_SERIAL)
        EXPECT_EQ(number_of(pool, weft_kind_name(kind)), 3);
    int n = (int)strlen(line);
    EXPECT_EQ(weft_pool_explain(pool, short_line, sizeof short_line), n);
    EXPECT_STR(short_line, "as open");
    EXPECT_EQ(weft_pool_explain(pool, NULL, 0), n);
    EXPECT_EQ(weft_pool_explain(pool, NULL, 10), -EINVAL);
    weft_pool_close(pool);
}

TEST(auto_is_a_kind_by_name)
{
    weft_kind kind;
    EXPECT_EQ(weft_kind_parse("auto", &kind), 0);
    EXPECT_EQ(kind, WEFT_AUTO);
    EXPECT_STR(weft_kind_name(WEFT_AUTO), "auto");
}
