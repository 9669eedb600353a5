/* SPDX-License-Identifier: MIT */
/* Processes from the owner's side: calls, results, how they end, who else may start them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "common.h"

/* ---- calls and results */

TEST(process_runs_a_call_and_gives_its_result)
{
    begin();
    struct worker *process = open_worker();
    struct result result = run(process, echo, "hello", 6);
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.result_bytes, 6);
    EXPECT_STR((char *)result.result, "hello");
    free(result.result);
    EXPECT_EQ(run_number(process, get_pid), worker_id(process));
    EXPECT_NE(worker_id(process), getpid());
    worker_close(process);
}

static int give_nothing(weft_call *call)
{
    return call->arg ? -EINVAL : 7;
}

static int give_empty(weft_call *call)
{
    return call->arg && call->arg_bytes == 0 ? weft_call_return(call, "", 0) : -EINVAL;
}

TEST(process_tells_no_argument_from_an_empty_one)
{
    begin();
    struct worker *process = open_worker();
    EXPECT_EQ(run_plain(process, give_nothing, NULL, 0), 7);
    struct result result = run(process, give_empty, "", 0);
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.result_bytes, 0);
    EXPECT_STR((char *)result.result, "");
    free(result.result);
    worker_close(process);
}

static int fail_in_words(weft_call *call)
{
    weft_call_return(call, "partial", 8);
    return weft_call_fail(call, -ERANGE, "%s is too large", (const char *)call->arg);
}

TEST(process_carries_the_words_of_a_failure)
{
    begin();
    struct worker *process = open_worker();
    struct result result = run(process, fail_in_words, "it", 3);
    EXPECT_EQ(result.status, -ERANGE);
    EXPECT_STR(result.text, "it is too large");
    EXPECT_STR((char *)result.result, "partial");
    free(result.result);
    result = run(process, echo, "next", 5);
    EXPECT_STR(result.text, "");
    free(result.result);
    worker_close(process);
}

static int write_half(weft_call *call)
{
    for (size_t i = 0; i < call->ret_bytes; i++)
        if (((char *)call->ret)[i])
            return weft_call_fail(call, -EINVAL, "byte %zu is not zero", i);
    memset(call->ret, 'x', call->ret_bytes / 2);
    return 0;
}

TEST(process_gives_results_of_fixed_size_zeroed)
{
    begin();
    struct worker *process = open_worker();
    for (size_t bytes = 400000; bytes; bytes /= 20)
        for (int again = 0; again < 2; again++) {
            start_call(process, write_half, &(weft_call){ .ret_bytes = bytes });
            EXPECT_TRUE(is_done(process));
            EXPECT_EQ(process->rets[bytes - 1], '\0');
            EXPECT_TRUE(bytes < 2 || process->rets[bytes / 2 - 1] == 'x');
            EXPECT_STR(take_plain(process).text, "");
        }
    worker_close(process);
}

static int show_call(weft_call *call)
{
    char text[100];
    int n = snprintf(text, sizeof text, "%p %llu %u", call->pointer,
                     (unsigned long long)call->index, call->attempt);
    return weft_call_return(call, text, (size_t)n + 1);
}

TEST(process_passes_index_attempt_and_pointer)
{
    begin();
    struct worker *process = open_worker();
    weft_call call = { .pointer = (void *)0x1234, .index = UINT64_MAX, .attempt = 3 };
    start_call(process, show_call, &call);
    expect_done(process, "0x1234 18446744073709551615 3");
    worker_close(process);
}

/* ---- what a process finds */

static int read_context(weft_call *call)
{
    return weft_call_return(call, call->context, call->context_bytes);
}

TEST(process_keeps_its_context)
{
    static char large[1 << 20];
    begin();
    memset(large, 'c', sizeof large);
    for (size_t n = 0; n <= sizeof large; n += sizeof large / 2) {
        struct process_options options = { .context = large, .context_bytes = n };
        struct worker *process = open_worker_with(&options);
        for (int again = 0; again < 2; again++) {
            struct result result = run(process, read_context, NULL, 0);
            EXPECT_EQ(result.result_bytes, n);
            EXPECT_MEM(result.result, large, n);
            free(result.result);
        }
        worker_close(process);
    }
}

static int count_up(weft_call *call)
{
    return give_number(call, ++*(long *)call->context);
}

TEST(process_uses_a_lent_context)
{
    begin();
    long *number = weft_shared_alloc(sizeof *number);
    struct process_options options = { .context = number, .context_bytes = WEFT_POINTER };
    struct worker *process = open_worker_with(&options);
    EXPECT_EQ(run_number(process, count_up), 1);
    EXPECT_EQ(*number, 1);
    worker_close(process);
}

static int *left; /* shared */

static int enter_or_not(weft_call *call, void **ret_worker)
{
    if (!call->context)
        return weft_call_fail(call, -EACCES, "no context, no work");
    *ret_worker = strdup(call->context);
    return 0;
}

static void leave(void *worker)
{
    *left = strcmp(worker, "state") == 0 ? 1 : 2;
    free(worker);
}

static int read_worker(weft_call *call)
{
    return weft_call_return(call, call->worker, strlen(call->worker) + 1);
}

TEST(process_enters_and_leaves)
{
    begin();
    int **shared = weft_shared_alloc(sizeof *shared);
    left = weft_shared_alloc(sizeof *left);
    *shared = left;
    struct process_options options = { .context = "state",
                                       .context_bytes = 6,
                                       .enter = enter_or_not };
    struct worker *process = open_worker_with(&options);
    expect_text(process, read_worker, "state");
    worker_quit(process);
    struct process_end end = worker_end(process);
    EXPECT_EQ(end.signal, 0);
    EXPECT_EQ(end.exit_code, 0);
    worker_close(process);
}

static int enter_left(weft_call *call, void **ret_worker)
{
    left = *(int *const *)call->context;
    *ret_worker = strdup("state");
    return 0;
}

TEST(process_leaves_after_what_it_runs)
{
    begin();
    int *here = weft_shared_alloc(sizeof *here);
    struct process_options options = {
        .context = &here, .context_bytes = sizeof here, .enter = enter_left, .leave = leave
    };
    struct worker *process = open_worker_with(&options);
    start(process, echo, "last", 5);
    worker_quit(process);
    expect_done(process, "last");
    struct process_end end = worker_end(process);
    EXPECT_EQ(end.signal, 0);
    EXPECT_EQ(end.exit_code, 0);
    EXPECT_EQ(*here, 1);
    EXPECT_EQ(worker_hear(process), PROCESS_ENDED); /* and again */
    worker_close(process);
}

TEST(process_reports_that_enter_failed)
{
    begin();
    struct worker *process;
    EXPECT_EQ(worker_start(&process, &(struct process_options){ .enter = enter_or_not }), 0);
    EXPECT_EQ(worker_hear(process), PROCESS_REFUSED);
    EXPECT_EQ(process->refusal.status, -EACCES);
    EXPECT_STR(process->refusal.text, "no context, no work");
    EXPECT_EQ(worker_hear(process), PROCESS_ENDED);
    EXPECT_EQ(process->end.exit_code, EXIT_FAILURE);
    worker_close(process);
}

static int die_entering(weft_call *call, void **ret_worker)
{
    (void)call;
    (void)ret_worker;
    _exit(9);
}

TEST(process_that_dies_in_enter_is_never_ready)
{
    begin();
    struct worker *process;
    EXPECT_EQ(worker_start(&process, &(struct process_options){ .enter = die_entering }), 0);
    EXPECT_EQ(worker_hear(process), PROCESS_ENDED);
    EXPECT_EQ(process->end.exit_code, 9);
    worker_close(process);
}

/* ---- asked for, not waited for */

TEST(process_that_is_asked_for_says_how_far_it_is)
{
    begin();
    struct worker worker = { .lane = lane_open() };
    EXPECT_EQ(process_ask(&worker.process, &(struct process_options){ .lane = worker.lane }), 0);
    EXPECT_EQ(worker_hear(&worker), PROCESS_HAS_STARTED);
    EXPECT_GT(worker_id(&worker), 0);
    EXPECT_EQ(worker_hear(&worker), PROCESS_IS_READY);
    EXPECT_EQ(run_number(&worker, get_pid), worker_id(&worker));
    worker_quit(&worker);
    EXPECT_EQ(worker_end(&worker).exit_code, 0);
    process_close(worker.process);
    lane_close(worker.lane);
}

TEST(process_that_is_asked_for_may_be_closed_at_any_time)
{
    begin();
    struct lane *lane = lane_open();
    for (int i = 0; i < 20; i++) {
        struct process *process;
        struct process_result failure;
        struct process_end end;
        EXPECT_EQ(process_ask(&process, &(struct process_options){ .lane = lane }), 0);
        for (int looks = 0; looks < 50 * i; looks++)
            (void)process_look(process, &failure, &end);
        process_close(process);
    }
    lane_close(lane);
}

/* ---- what a process finds, besides */

static int list_descriptors(weft_call *call)
{
    char text[400] = "";
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(directory));) {
        char path[300], target[100] = "";
        if (entry->d_name[0] == '.' || atoi(entry->d_name) <= 2 ||
            atoi(entry->d_name) == dirfd(directory))
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        if (readlink(path, target, sizeof target - 1) < 0)
            return -errno;
        target[strcspn(target, ":")] = '\0';
        strcat(strcat(text, target), " ");
        if (!(fcntl(atoi(entry->d_name), F_GETFD) & FD_CLOEXEC))
            strcat(text, "inheritable ");
    }
    closedir(directory);
    return weft_call_return(call, text, strlen(text) + 1);
}

TEST(process_has_none_of_the_programs_descriptors)
{
    int before = open("/dev/zero", O_RDONLY);
    begin();
    int after = open("/dev/zero", O_RDONLY);
    struct worker *one = open_worker(), *two = open_worker();
    /* And of weft's: shared memory, channel, control. */
    expect_text(two, list_descriptors, "/memfd socket socket ");
    worker_close(one);
    worker_close(two);
    close(after);
    EXPECT_EQ(fcntl(before, F_GETFD), 0);
}

/* As a sandbox does that has never heard of it. */
static void refuse_close_range(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = { sizeof program / sizeof *program, program };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        SKIP("the kernel has no seccomp filters");
}

TEST(process_has_none_of_them_where_close_range_is_refused)
{
    int before = open("/dev/zero", O_RDONLY);
    refuse_close_range();
    EXPECT_EQ(syscall(SYS_close_range, 1000, 1000, 0), -1);
    begin();
    struct worker *one = open_worker(), *two = open_worker();
    expect_text(two, list_descriptors, "/memfd socket socket ");
    worker_close(one);
    worker_close(two);
    EXPECT_EQ(fcntl(before, F_GETFD), 0);
}

TEST(process_leaves_closed_stdio_alone)
{
    DESCRIPTORS_MAY_STAY();
    close(0);
    NEEDS_PROCESSES();
    EXPECT_EQ(weft_init(), 0);
    struct worker *process = open_worker();
    EXPECT_EQ(fcntl(0, F_GETFD), -1);
    expect_text(process, list_descriptors, "/memfd socket socket ");
    worker_close(process);
}

static int read_mask(weft_call *call)
{
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    struct sigaction usr2, pipe_action;
    sigaction(SIGUSR2, NULL, &usr2);
    sigaction(SIGPIPE, NULL, &pipe_action);
    return give_number(call, sigismember(&mask, SIGUSR1) | sigismember(&mask, SIGTERM) << 1 |
                                 (usr2.sa_handler == SIG_DFL) << 2 |
                                 (pipe_action.sa_handler == SIG_IGN) << 3);
}

static void do_nothing(int signo)
{
    (void)signo;
}

TEST(process_has_the_programs_mask_but_not_its_handlers)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGTERM); /* as a program does that waits for it by sigwait() */
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signal(SIGUSR2, do_nothing);
    signal(SIGPIPE, SIG_IGN);
    begin();
    struct worker *process = open_worker();
    EXPECT_EQ(run_number(process, read_mask), 1 | 4 | 8);
    process_signal(process->process, SIGTERM);
    struct process_end end = worker_end(process);
    EXPECT_EQ(end.signal, SIGTERM);
    worker_close(process);
}

static int read_directory(weft_call *call)
{
    char path[4096];
    if (!getcwd(path, sizeof path))
        return -errno;
    return weft_call_return(call, path, strlen(path) + 1);
}

TEST(process_starts_in_the_programs_directory)
{
    begin();
    EXPECT_EQ(chdir("/usr/lib"), 0);
    struct worker *process = open_worker();
    expect_text(process, read_directory, "/usr/lib");
    worker_close(process);
}

static int read_name(weft_call *call)
{
    char name[16] = "";
    prctl(PR_GET_NAME, name);
    return weft_call_return(call, name, sizeof name);
}

TEST(process_has_its_name)
{
    prctl(PR_SET_NAME, "program");
    begin();
    for (int named = 0; named < 2; named++) {
        struct process_options options = { .name = named ? "a-long-name-0123456789" : NULL };
        struct worker *process = open_worker_with(&options);
        expect_text(process, read_name, named ? "a-long-name-012" : "program");
        worker_close(process);
    }
}

TEST(process_sees_the_programs_code_only)
{
    static int data;
    EXPECT_FALSE(process_available());
    begin();
    EXPECT_TRUE(process_available());
    EXPECT_TRUE(process_sees_code((void *)(uintptr_t)echo));
    EXPECT_TRUE(process_sees_code((void *)(uintptr_t)malloc));
    EXPECT_TRUE(process_sees_code(NULL));
    EXPECT_FALSE(process_sees_code(&data));
    void *heap = malloc(1);
    EXPECT_FALSE(process_sees_code(heap));
    free(heap);
}
