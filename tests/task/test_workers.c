/* SPDX-License-Identifier: MIT */
/* Workers: how many there are, who runs what, that idle ones sleep, and what a fork leaves. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <weft/event.h>
#include <weft/pool.h>
#include <weft/run.h>

#include "task/share.h"
#include "tasks.h"

static atomic_int ran;

static int count(weft_call *call)
{
    (void)call;
    atomic_fetch_add(&ran, 1);
    return 0;
}

/* ---- how many */

TEST(nonsense_about_guards_is_refused_and_does_no_harm)
{
    weft_group *g;
    setenv("WEFT_GUARDS", "walls", 1);
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), -EINVAL);
    setenv("WEFT_GUARDS", "mprotect", 1);
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), 0);
    weft_group_close(g);
    DESCRIPTORS_MAY_STAY();
}

TEST(nonsense_in_the_environment_is_refused_and_does_no_harm)
{
    static const char *const nonsense[] = { "",  "0",   "-1",  "x",  "3x",
                                            " ", "257", "1.5", "0x", "99999999999999999999" };
    weft_group *g;
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        setenv("WEFT_WORKERS", nonsense[i], 1);
        EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), -EINVAL);
        weft_pool *pool;
        EXPECT_EQ(weft_pool_open(&pool, WEFT_TASKS, NULL), -EINVAL);
    }
    setenv("WEFT_WORKERS", "2", 1);
    setenv("WEFT_IO", "teletype", 1);
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), -EINVAL);
    setenv("WEFT_IO", "epoll", 1);
    workers_are("2");
    in_tasks(10, count);
    EXPECT_EQ(atomic_load(&ran), 10);
    EXPECT_EQ(share_workers(), 2);
}

static atomic_int one_thread;

static int stay_in_one_thread(weft_call *call)
{
    int expected = 0, me = gettid();
    atomic_compare_exchange_strong(&one_thread, &expected, me);
    EXPECT_EQ(atomic_load(&one_thread), me);
    EXPECT_EQ(weft_yield(), 0);
    EXPECT_EQ(weft_sleep_until(weft_after(1000)), 0);
    EXPECT_EQ(gettid(), me);
    return count(call);
}

TEST(one_worker_runs_everything)
{
    workers_are("1");
    in_tasks(1000, stay_in_one_thread);
    EXPECT_EQ(atomic_load(&ran), 1000);
    EXPECT_EQ(share_workers(), 1);
}

static int stay(weft_call *call)
{
    int me = gettid();
    for (int i = 0; i < 20; i++) {
        EXPECT_EQ(call->index % 2 ? weft_yield() : weft_sleep_until(weft_after(1000)), 0);
        EXPECT_EQ(gettid(), me);
    }
    return 0;
}

TEST(a_task_that_has_started_stays_with_its_worker)
{
    workers_are("4");
    in_tasks(500, stay);
}

/* ---- stealing */

static int start_and_compute(weft_call *call)
{
    weft_group *g = call->pointer;
    EXPECT_EQ(weft_group_start(g, count, NULL, 0), 0);
    while (!atomic_load(&ran))
        cpu_relax(); /* never gives its worker back before that */
    return 0;
}

TEST(a_task_that_computes_does_not_keep_its_sibling_from_another_worker)
{
    workers_are("2");
    for (int i = 0; i < 20; i++) {
        atomic_store(&ran, 0);
        weft_group *g = tasks_open();
        EXPECT_EQ(weft_group_start(g, start_and_compute, g, WEFT_POINTER), 0);
        tasks_join(g);
    }
}

/* The watcher is called away, to a task of its own that computes: then somebody else must see to
 * the sibling that it would have stolen. */
static weft_event bells[2];
static atomic_int waiting;
static atomic_bool pinned;

static int wait_and_compute(weft_call *call)
{
    atomic_fetch_add(&waiting, 1);
    while (atomic_load(&waiting) < 2) /* so that each is on a worker of its own */
        cpu_relax();
    EXPECT_EQ(weft_event_wait(&bells[*(const int *)call->arg], WEFT_FOREVER), 0);
    while (!atomic_load(&ran))
        cpu_relax();
    return 0;
}

static int start_and_call_away(weft_call *call)
{
    weft_group *g = call->pointer;
    atomic_store(&pinned, true);
    while (atomic_load(&waiting) < 2)
        cpu_relax();
    /* A moment, in which the others fall asleep; the test holds without, but finds less. */
    for (weft_deadline end = weft_after(3 * WEFT_MS); weft_left(end) > 0;)
        cpu_relax();
    EXPECT_EQ(weft_group_start(g, count, NULL, 0), 0);
    weft_event_set(&bells[weft_now() / 16 % 2]);
    while (!atomic_load(&ran))
        cpu_relax();
    return 0;
}

TEST(a_sibling_is_stolen_though_the_watcher_is_called_away)
{
    workers_are("3");
    for (int i = 0; i < 30; i++) {
        atomic_store(&ran, 0);
        atomic_store(&waiting, 0);
        atomic_store(&pinned, false);
        weft_group *g = tasks_open();
        for (int n = 0; n < 2; n++)
            weft_event_init(&bells[n]);
        EXPECT_EQ(weft_group_start(g, start_and_call_away, g, WEFT_POINTER), 0);
        UNTIL(atomic_load(&pinned));
        for (int n = 0; n < 2; n++)
            EXPECT_EQ(weft_group_start(g, wait_and_compute, &n, sizeof n), 0);
        UNTIL(atomic_load(&ran));
        for (int n = 0; n < 2; n++)
            weft_event_set(&bells[n]);
        tasks_join(g);
    }
}

/* ---- idleness */

static unsigned long switches_of(const char *task)
{
    char path[300], line[256];
    unsigned long n = 0;
    bool worker = false;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
    FILE *status = fopen(path, "re");
    if (!status)
        return 0;
    while (fgets(line, sizeof line, status)) {
        worker |= strcmp(line, "Name:\tweft-worker\n") == 0;
        (void)sscanf(line, "voluntary_ctxt_switches: %lu", &n);
    }
    fclose(status);
    return worker ? n : 0;
}

/* How often the workers have gone to sleep, all together. */
static unsigned long sleeps_of_workers(void)
{
    unsigned long n = 0;
    DIR *tasks = opendir("/proc/self/task");
    EXPECT_TRUE(tasks);
    for (struct dirent *entry; (entry = readdir(tasks));)
        if (entry->d_name[0] != '.')
            n += switches_of(entry->d_name);
    closedir(tasks);
    return n;
}

static weft_event end = WEFT_EVENT_INIT;
static atomic_int parked;

static int park(weft_call *call)
{
    atomic_fetch_add(&parked, 1);
    if (call->index % 2)
        return weft_event_wait(&end, WEFT_FOREVER);
    return weft_event_wait(&end, weft_after(3600 * WEFT_S));
}

/* Counts, not times: a worker that wakes up for nothing once in 300 ms fails it. */
TEST(idle_workers_sleep_while_ten_thousand_tasks_are_parked)
{
    if (HARNESS_SANITIZED || HARNESS_EMULATED)
        SKIP("a sanitizer wakes threads up itself");
    enum { TASKS = 10000 };
    workers_are("2");
    weft_group *g = tasks_open();
    for (int i = 0; i < TASKS; i++)
        EXPECT_EQ(weft_group_start(g, park, NULL, 0), 0);
    UNTIL(atomic_load(&parked) == TASKS);
    unsigned long before = 1, after = 0;
    for (int looks = 0; before != after; looks++) {
        EXPECT_LT(looks, 20);
        before = sleeps_of_workers();
        nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
        after = sleeps_of_workers();
    }
    EXPECT_GT(before, 0);
    weft_event_set(&end);
    tasks_join(g);
}

/* ---- forks of the program's own */

static int exit_status(pid_t child)
{
    int status;
    EXPECT_GT(child, 0);
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* In a child: what does not work says so. */
static void use_tasks_in_child(void)
{
    weft_group *g;
    weft_pool *pool;
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, NULL), -ECHILD);
    EXPECT_EQ(weft_pool_open(&pool, WEFT_TASKS, NULL), -ECHILD);
    EXPECT_EQ(weft_run_once(WEFT_NOW), -ECHILD);
    EXPECT_EQ(weft_run_fd(), -ECHILD);
}

TEST(after_a_fork_of_the_users_own_the_child_has_no_tasks)
{
    workers_are("1");
    weft_group *g = tasks_open();
    pid_t child = fork();
    if (child == 0) {
        use_tasks_in_child();
        EXPECT_EQ(weft_group_start(g, count, NULL, 0), -ECHILD);
        _exit(0);
    }
    EXPECT_EQ(exit_status(child), 0);
    EXPECT_EQ(weft_group_start(g, count, NULL, 0), 0);
    tasks_join(g);
    EXPECT_EQ(atomic_load(&ran), 1);
}

static int add_one(void *arg)
{
    return *(int *)arg + 1;
}

static atomic_bool blocked, may_fork;

/* The child of a task is a thread: it blocks, and none of the tasks that could run does in it. */
static int fork_in_task(weft_call *call)
{
    int n = 41;
    EXPECT_EQ(weft_blocking(add_one, &n), 42);
    atomic_store(&blocked, true);
    while (!atomic_load(&may_fork))
        cpu_relax();
    pid_t child = fork();
    if (child == 0) {
        use_tasks_in_child();
        EXPECT_EQ(weft_yield(), 0);
        EXPECT_EQ(weft_sleep_until(weft_after(WEFT_MS)), 0);
        EXPECT_EQ(weft_blocking(add_one, &n), 42);
        _exit(atomic_load(&ran));
    }
    EXPECT_EQ(exit_status(child), 0);
    return count(call);
}

TEST(the_child_that_a_task_forks_runs_none_of_the_others)
{
    workers_are("1");
    weft_group *g = tasks_open();
    EXPECT_EQ(weft_group_start(g, fork_in_task, NULL, 0), 0);
    UNTIL(atomic_load(&blocked));
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(weft_group_start(g, count, NULL, 0), 0);
    atomic_store(&may_fork, true);
    tasks_join(g);
    EXPECT_EQ(atomic_load(&ran), 11);
}

/* ---- threads that weft did not make */

static weft_event ping = WEFT_EVENT_INIT, pong = WEFT_EVENT_INIT;

enum { VOLLEYS = HARNESS_SANITIZED ? 500 : 5000 };

static int answer(weft_call *call)
{
    (void)call;
    for (int i = 0; i < VOLLEYS; i++) {
        EXPECT_EQ(weft_event_wait(&ping, WEFT_FOREVER), 0);
        weft_event_clear(&ping);
        weft_event_set(&pong);
    }
    return 0;
}

static void *serve(void *unused)
{
    for (int i = 0; i < VOLLEYS; i++) {
        weft_event_set(&ping);
        EXPECT_EQ(weft_event_wait(&pong, WEFT_FOREVER), 0);
        weft_event_clear(&pong);
    }
    return unused;
}

TEST(a_foreign_thread_and_a_task_wake_each_other)
{
    workers_are("2");
    pthread_t thread;
    weft_group *g = tasks_open();
    EXPECT_EQ(weft_group_start(g, answer, NULL, 0), 0);
    EXPECT_EQ(pthread_create(&thread, NULL, serve, NULL), 0);
    pthread_join(thread, NULL);
    tasks_join(g);
}

/* ---- names and local values */

static int check_name(weft_call *call)
{
    char expected[40];
    snprintf(expected, sizeof expected, "crew-%d", (int)call->index);
    EXPECT_STR(weft_self_name(), expected);
    weft_self_set_name("renamed");
    EXPECT_EQ(weft_yield(), 0);
    EXPECT_STR(weft_self_name(), "renamed");
    weft_self_set_name(NULL);
    EXPECT_STR(weft_self_name(), expected);
    return 0;
}

static int check_nameless(weft_call *call)
{
    char expected[40];
    snprintf(expected, sizeof expected, "tasks-%d", (int)call->index);
    EXPECT_STR(weft_self_name(), expected);
    return 0;
}

TEST(tasks_have_names)
{
    workers_are("2");
    weft_group *g;
    char name[] = "crew"; /* copied */
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, &(weft_options){ .name = name }), 0);
    memset(name, 'x', sizeof name - 1);
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(weft_group_start(g, check_name, NULL, 0), 0);
    tasks_join(g);
    in_tasks(3, check_nameless);
}

static weft_local *local;
static atomic_int dropped;

static void drop(void *value)
{
    EXPECT_EQ(*(uint64_t *)value, weft_self_id());
    EXPECT_EQ(weft_yield(), 0); /* in the task, which can still do anything */
    free(value);
    atomic_fetch_add(&dropped, 1);
}

static int set_local(weft_call *call)
{
    (void)call;
    EXPECT_EQ(weft_local_get(local), NULL);
    uint64_t *value = malloc(sizeof *value);
    *value = weft_self_id();
    EXPECT_EQ(weft_local_set(local, value), 0);
    EXPECT_EQ(weft_yield(), 0);
    EXPECT_EQ(weft_local_get(local), value);
    return 0;
}

TEST(local_values_are_a_tasks_own_and_dropped_at_its_end)
{
    workers_are("2");
    EXPECT_EQ(weft_local_open(&local, drop), 0);
    for (int round = 1; round <= 3; round++) {
        in_tasks(100, set_local);
        EXPECT_EQ(atomic_load(&dropped), round * 100); /* none after its future's end */
    }
    weft_local_close(local);
}
