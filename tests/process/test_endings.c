/* SPDX-License-Identifier: MIT */
/* Processes from the owner's side: waiting for them, how they end, who else may start them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "base/atomic.h"
#include "common.h"

/* ---- waiting */

TEST(process_receive_obeys_its_deadline)
{
    begin();
    struct process *process = open_process();
    struct process_result result;
    struct process_end end;
    start(process, sleep_for_ever, NULL, 0);
    EXPECT_EQ(process_receive(process, &result, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(process_receive(process, &result, weft_after(WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(process_wait(process, &end, weft_after(WEFT_MS)), -ETIMEDOUT);
    process_signal(process, SIGKILL);
    EXPECT_EQ(process_receive(process, &result, WEFT_FOREVER), -EPIPE);
    EXPECT_EQ(process_wait(process, &end, WEFT_NOW), 0);
    EXPECT_EQ(end.signal, SIGKILL);
    process_close(process);
}

static int give_large(weft_call *call)
{
    size_t n = 32 << 20;
    char *bytes = malloc(n);
    memset(bytes, 'l', n);
    int rc = weft_call_return(call, bytes, n);
    free(bytes);
    return rc;
}

TEST(process_receive_goes_on_in_the_middle_of_a_result)
{
    begin();
    struct process *process = open_process();
    struct process_result result;
    int rc;
    start(process, give_large, NULL, 0);
    while ((rc = process_receive(process, &result, WEFT_NOW)) == -ETIMEDOUT)
        sched_yield();
    EXPECT_EQ(rc, 0);
    EXPECT_EQ(result.result_bytes, 32 << 20);
    for (size_t i = 0; i < result.result_bytes; i += 997)
        EXPECT_EQ(((char *)result.result)[i], 'l');
    free(result.result);
    process_close(process);
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
        struct process *process = open_process();
        struct process_end end = run_to_death(process, deaths[i].fn);
        EXPECT_EQ(end.signal, deaths[i].end.signal);
        EXPECT_EQ(end.exit_code, deaths[i].end.exit_code);
        process_signal(process, SIGTERM); /* of no effect, on nobody */
        start(process, echo, "anybody?", 9);
        struct process_result result;
        EXPECT_EQ(process_receive(process, &result, WEFT_FOREVER), -EPIPE);
        process_close(process);
    }
}

static char state_of(pid_t pid, pid_t *ret_parent)
{
    char path[64], state = 0;
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *stat = fopen(path, "re");
    if (!stat)
        return 0;
    if (fscanf(stat, "%*d (%*[^)]) %c %d", &state, &parent) != 2)
        state = 0;
    fclose(stat);
    if (ret_parent)
        *ret_parent = parent;
    return state;
}

TEST(process_killed_in_the_middle_of_a_result_gives_none)
{
    begin();
    for (int i = 0; i < 5; i++) {
        struct process *process = open_process();
        struct process_result result;
        struct process_end end;
        start(process, give_large, NULL, 0);
        if (i % 2)
            (void)!process_receive(process, &result, WEFT_NOW);
        while (state_of(process_id(process), NULL) != 'S') /* it has filled the socket */
            sched_yield();
        process_signal(process, SIGKILL);
        EXPECT_EQ(process_receive(process, &result, WEFT_FOREVER), -EPIPE);
        EXPECT_EQ(process_wait(process, &end, WEFT_FOREVER), 0);
        EXPECT_EQ(end.signal, SIGKILL);
        process_close(process);
    }
}

static int stop_itself(weft_call *call)
{
    (void)call;
    raise(SIGSTOP);
    return 0;
}

TEST(process_killed_while_it_is_sent_an_argument)
{
    begin();
    struct process *process = open_process();
    size_t n = 8 << 20;
    char *arg = calloc(1, n);
    start(process, stop_itself, NULL, 0);
    while (state_of(process_id(process), NULL) != 'T')
        sched_yield();
    pid_t killer = fork();
    if (killer == 0) {
        kill(process_id(process), SIGKILL); /* the sending blocks until then, or has not begun */
        _exit(0);
    }
    start(process, echo, arg, n);
    struct process_end end;
    EXPECT_EQ(process_wait(process, &end, WEFT_FOREVER), 0);
    EXPECT_EQ(end.signal, SIGKILL);
    expect_success(killer);
    process_close(process);
    free(arg);
}

TEST(process_that_cannot_be_sent_its_argument_is_killed)
{
    if (HARNESS_SANITIZED)
        SKIP("a sanitizer finds the bad memory first");
    if (HARNESS_EMULATED)
        SKIP("QEMU's user mode cuts a message short where its memory is bad");
    begin();
    struct process *process = open_process();
    struct process_end end;
    weft_call call = { .arg = (void *)16, .arg_bytes = 100 };
    EXPECT_EQ(process_send(process, echo, &call), -EFAULT);
    EXPECT_EQ(process_wait(process, &end, WEFT_FOREVER), 0);
    EXPECT_EQ(end.signal, SIGKILL);
    process_close(process);
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
    struct process *processes[10];
    for (int i = 0; i < 10; i++)
        processes[i] = open_process();
    EXPECT_EQ(zygotes_children(), 10);
    for (int i = 0; i < 5; i++)
        run_to_death(processes[i], exit_3);
    EXPECT_EQ(zygotes_children(), 5);
    for (int i = 0; i < 10; i++)
        process_close(processes[i]);
    EXPECT_EQ(zygotes_children(), 0);
    EXPECT_EQ(waitpid(-1, NULL, WNOHANG), -1); /* nor a child that the program did not start */
    EXPECT_EQ(errno, ECHILD);
}

/* ---- others that start processes */

static void *start_and_run(void *failures)
{
    for (int i = 0; i < 10; i++) {
        struct process *process = open_process();
        if (run_number(process, get_pid) != process_id(process))
            add_relaxed((int *)failures, 1); /* relaxed: read after the join */
        process_close(process);
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
    struct process *process = open_process();
    long inner = run_number(process, get_pid);
    EXPECT_EQ(inner, process_id(process));
    process_close(process);
    return give_number(call, inner);
}

static struct process *kept;

static int start_and_keep(weft_call *call)
{
    kept = open_process();
    start(kept, sleep_for_ever, NULL, 0);
    return give_number(call, process_id(kept));
}

TEST(process_may_start_processes)
{
    begin();
    struct process *process = open_process();
    EXPECT_NE(run_number(process, run_inside), process_id(process));
    process_close(process);
}

TEST(process_takes_those_it_started_with_it)
{
    begin();
    struct process *process = open_process();
    int inner = descriptors_of_process((pid_t)run_number(process, start_and_keep));
    EXPECT_GE(inner, 0);
    process_close(process);
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
    struct process *process = NULL;
    while (!process) { /* one descriptor more each time, until there are enough */
        few.rlim_cur = (rlim_t)used++;
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
        int rc = process_open(&process, &(struct process_options){ 0 });
        EXPECT_TRUE(rc == 0 || (rc == -EMFILE && !process));
    }
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    struct process_result result = run(process, echo, "enough", 7);
    EXPECT_STR((char *)result.result, "enough");
    free(result.result);
    process_close(process);
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
    struct process_end end;
    EXPECT_EQ(weft_local_open(&local, drop), 0);
    EXPECT_EQ(weft_local_set(local, &local), 0);
    begin();
    struct process *process = open_process();
    dropped = weft_shared_alloc(sizeof *dropped);
    EXPECT_TRUE(dropped);
    struct process_result result = run(process, set_dropped, &dropped, sizeof dropped);
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(run(process, set_local, &local, sizeof local).status, 0);
    process_finish(process);
    EXPECT_EQ(process_wait(process, &end, WEFT_FOREVER), 0);
    EXPECT_EQ(atomic_load(dropped), 7);
    process_close(process);
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
    struct process *process = open_process();
    struct process_result result = run(process, ask_strand, NULL, 0);
    EXPECT_EQ(result.status, 0);
    EXPECT_STR((const char *)result.result, "test");
    free(result.result);
    process_close(process);
    weft_scope_leave(&scope);
}
