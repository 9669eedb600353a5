/* SPDX-License-Identifier: MIT */
/* Processes from the owner's side: what they say, how they end, who else may start them. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/atomic.h"
#include "common.h"

/* ---- news */

TEST(process_that_runs_a_call_says_nothing)
{
    begin();
    struct worker *process = open_worker();
    start(process, sleep_for_ever, NULL, 0);
    EXPECT_EQ(process_look(process->process, &process->refusal, &process->end), PROCESS_SILENT);
    process_signal(process->process, SIGKILL);
    EXPECT_FALSE(is_done(process));
    EXPECT_EQ(process->end.signal, SIGKILL);
    worker_close(process);
}

/* ---- deaths */

static int exit_3(weft_call *call)
{
    (void)call;
    _exit(3);
}

static int abort_now(weft_call *call)
{
    (void)call;
    signal(SIGABRT, SIG_DFL); /* without a sanitizer's handler */
    abort();
}

static int segfault(weft_call *call)
{
    (void)call;
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
    return 0;
}

static int kill_itself(weft_call *call)
{
    (void)call;
    kill(getpid(), SIGKILL);
    return 0;
}

TEST(process_tells_how_it_ended)
{
    static const struct {
        weft_fn *fn;
        struct process_end end;
    } deaths[] = { { exit_3, { 0, 3 } },
                   { abort_now, { SIGABRT, 0 } },
                   { segfault, { SIGSEGV, 0 } },
                   { kill_itself, { SIGKILL, 0 } } };
    begin();
    for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++) {
        struct worker *process = open_worker();
        struct process_end end = run_to_death(process, deaths[i].fn);
        EXPECT_EQ(end.signal, deaths[i].end.signal);
        EXPECT_EQ(end.exit_code, deaths[i].end.exit_code);
        process_signal(process->process, SIGTERM); /* of no effect, on nobody */
        start(process, echo, "anybody?", 9);
        EXPECT_FALSE(is_done(process));
        worker_close(process);
    }
}

/* How many children of the zygote there are, dead ones included. */
static unsigned zygotes_children(void)
{
    unsigned n = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(proc));) {
        pid_t parent = 0;
        if (atoi(entry->d_name) > 0 && state_of(atoi(entry->d_name), &parent) &&
            parent == zygote_id())
            n++;
    }
    closedir(proc);
    return n;
}

TEST(process_leaves_no_zombie)
{
    begin();
    struct worker *processes[10];
    for (int i = 0; i < 10; i++)
        processes[i] = open_worker();
    EXPECT_EQ(zygotes_children(), 10);
    for (int i = 0; i < 5; i++)
        run_to_death(processes[i], exit_3);
    EXPECT_EQ(zygotes_children(), 5);
    for (int i = 0; i < 10; i++)
        worker_close(processes[i]);
    EXPECT_EQ(zygotes_children(), 0);
    EXPECT_EQ(waitpid(-1, NULL, WNOHANG), -1); /* nor a child that the program did not start */
    EXPECT_EQ(errno, ECHILD);
}

TEST(process_that_cannot_be_sent_its_context_is_not_started)
{
    if (HARNESS_SANITIZED)
        SKIP("a sanitizer finds the bad memory first");
    if (HARNESS_EMULATED)
        SKIP("QEMU's user mode cuts a message short where its memory is bad");
    begin();
    struct worker *process;
    struct process_options options = { .context = (void *)16, .context_bytes = 100 };
    EXPECT_EQ(worker_start(&process, &options), -EFAULT);
    while (zygotes_children()) /* it waits for its context no longer */
        sched_yield();
    struct worker asked = { .lane = lane_open() };
    options.lane = asked.lane;
    EXPECT_EQ(process_ask(&asked.process, &options), 0);
    EXPECT_EQ(worker_hear(&asked), PROCESS_NOT_STARTED);
    EXPECT_EQ(asked.refusal.status, -EFAULT);
    EXPECT_EQ(worker_hear(&asked), PROCESS_ENDED);
    EXPECT_EQ(asked.end.signal, 0);
    process_close(asked.process);
    lane_close(asked.lane);
}

/* ---- others that start processes */

static void *start_and_run(void *failures)
{
    for (int i = 0; i < 10; i++) {
        struct worker *process = open_worker();
        if (run_number(process, get_pid) != worker_id(process))
            add_relaxed((int *)failures, 1); /* relaxed: read after the join */
        worker_close(process);
    }
    return NULL;
}

TEST(process_open_works_from_many_threads_at_once)
{
    int failures = 0;
    pthread_t threads[8];
    begin();
    for (int i = 0; i < 8; i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL, start_and_run, &failures), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    EXPECT_EQ(failures, 0);
    EXPECT_EQ(zygotes_children(), 0);
}

static int run_inside(weft_call *call)
{
    EXPECT_EQ(weft_init(), 0);
    struct worker *process = open_worker();
    long inner = run_number(process, get_pid);
    EXPECT_EQ(inner, worker_id(process));
    worker_close(process);
    return give_number(call, inner);
}

static struct worker *kept;

static int start_and_keep(weft_call *call)
{
    kept = open_worker();
    start(kept, sleep_for_ever, NULL, 0);
    return give_number(call, worker_id(kept));
}

TEST(process_may_start_processes)
{
    begin();
    struct worker *process = open_worker();
    EXPECT_NE(run_number(process, run_inside), worker_id(process));
    worker_close(process);
}

TEST(process_takes_those_it_started_with_it)
{
    begin();
    struct worker *process = open_worker();
    int inner = descriptors_of_process((pid_t)run_number(process, start_and_keep));
    EXPECT_GE(inner, 0);
    worker_close(process);
    await_end(inner);
}

/* ---- no room */

TEST(process_open_without_descriptors_fails_cleanly)
{
    begin();
    struct rlimit limit, few;
    getrlimit(RLIMIT_NOFILE, &limit);
    few = limit;
    int used = 0;
    struct worker *process = NULL;
    while (!process) { /* one descriptor more each time, until there are enough */
        few.rlim_cur = (rlim_t)used++;
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
        int rc = worker_start(&process, NULL);
        EXPECT_TRUE(rc == 0 || (rc == -EMFILE && !process));
    }
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    start(process, echo, "enough", 7);
    expect_done(process, "enough");
    worker_close(process);
}

TEST(process_open_needs_weft_init)
{
    struct process *process = NULL;
    EXPECT_EQ(process_open(&process, &(struct process_options){ 0 }), -ENOTCONN);
    EXPECT_EQ(process, NULL);
    process_close(NULL);
}

/* ---- the process as a strand */

static atomic_int *dropped;

static void drop(void *value)
{
    atomic_fetch_add(dropped, *(int *)value);
}

static int set_dropped(weft_call *call)
{
    dropped = *(atomic_int *const *)call->arg;
    return 0;
}

static int set_local(weft_call *call)
{
    static int value = 7;
    weft_local *local = *(weft_local *const *)call->arg;
    EXPECT_EQ((uintptr_t)weft_local_get(local), 0);
    return weft_local_set(local, &value);
}

TEST(process_drops_its_local_values_at_its_end)
{
    weft_local *local;
    EXPECT_EQ(weft_local_open(&local, drop), 0);
    EXPECT_EQ(weft_local_set(local, &local), 0);
    begin();
    struct worker *process = open_worker();
    dropped = weft_shared_alloc(sizeof *dropped);
    EXPECT_TRUE(dropped);
    EXPECT_EQ(run_plain(process, set_dropped, &dropped, sizeof dropped), 0);
    EXPECT_EQ(run_plain(process, set_local, &local, sizeof local), 0);
    worker_quit(process);
    EXPECT_EQ(worker_end(process).exit_code, 0);
    EXPECT_EQ(atomic_load(dropped), 7);
    worker_close(process);
    weft_shared_free(dropped);
    EXPECT_EQ(weft_local_set(local, NULL), 0);
    weft_local_close(local);
}

static int ask_strand(weft_call *call)
{
    EXPECT_EQ(weft_scope_deadline().ns, WEFT_FOREVER.ns);
    EXPECT_EQ(weft_yield(), 0);
    return weft_call_return(call, weft_self_name(), strlen(weft_self_name()) + 1);
}

TEST(process_is_in_no_scope_of_the_programs)
{
    weft_scope scope;
    weft_self_set_name("conductor");
    weft_scope_enter(&scope, weft_after(WEFT_S), 0);
    begin();
    struct worker *process = open_worker();
    expect_text(process, ask_strand, "test");
    worker_close(process);
    weft_scope_leave(&scope);
}
