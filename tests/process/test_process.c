/* SPDX-License-Identifier: MIT */
/* Processes from the owner's side: calls, results, how they end, who else may start them. */
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

/* ---- calls and results */

TEST(process_runs_a_call_and_gives_its_result)
{
    begin();
    struct process *process = open_process();
    struct process_result result = run(process, echo, "hello", 6);
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.result_bytes, 6);
    EXPECT_STR((char *)result.result, "hello");
    free(result.result);
    EXPECT_EQ(run_number(process, get_pid), process_id(process));
    EXPECT_NE(process_id(process), getpid());
    process_close(process);
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
    struct process *process = open_process();
    struct process_result result = run(process, give_nothing, NULL, 0);
    EXPECT_EQ(result.status, 7);
    EXPECT_EQ(result.result, NULL);
    result = run(process, give_empty, "", 0);
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.result_bytes, 0);
    EXPECT_STR((char *)result.result, "");
    free(result.result);
    process_close(process);
}

static int fail_in_words(weft_call *call)
{
    weft_call_return(call, "partial", 8);
    return weft_call_fail(call, -ERANGE, "%s is too large", (const char *)call->arg);
}

TEST(process_carries_the_words_of_a_failure)
{
    begin();
    struct process *process = open_process();
    struct process_result result = run(process, fail_in_words, "it", 3);
    EXPECT_EQ(result.status, -ERANGE);
    EXPECT_STR(result.text, "it is too large");
    EXPECT_STR((char *)result.result, "partial");
    free(result.result);
    result = run(process, echo, "next", 5);
    EXPECT_STR(result.text, "");
    free(result.result);
    process_close(process);
}

static int check_arg(weft_call *call)
{
    const char *arg = call->arg;
    if ((uintptr_t)arg % 16 != 0)
        return weft_call_fail(call, -EINVAL, "not aligned");
    if (arg[call->arg_bytes] != '\0')
        return weft_call_fail(call, -EINVAL, "no NUL behind");
    return echo(call);
}

TEST(process_moves_arguments_and_results_of_any_size)
{
    static const size_t sizes[] = { 1,       15,     4096,   16383,   16384,   16385,
                                    147456,  147457, 262144, 1 << 20, 1000003, (3 << 20) + 1,
                                    64 << 20 };
    begin();
    struct process *process = open_process();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = sizes[i];
        unsigned char *arg = malloc(n);
        for (size_t j = 0; j < n; j++)
            arg[j] = (unsigned char)(j * 7 + j / 251 + i);
        struct process_result result = run(process, check_arg, arg, n);
        EXPECT_STR(result.text, "");
        EXPECT_EQ(result.result_bytes, n);
        EXPECT_EQ((uintptr_t)result.result % 16, 0);
        EXPECT_EQ(memcmp(result.result, arg, n), 0);
        EXPECT_EQ(((char *)result.result)[n], '\0');
        free(result.result);
        free(arg);
    }
    process_close(process);
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
    struct process *process = open_process();
    for (size_t bytes = 400000; bytes; bytes /= 20)
        for (int again = 0; again < 2; again++) {
            struct process_result result;
            weft_call call = { .ret_bytes = bytes };
            EXPECT_EQ(process_send(process, write_half, &call), 0);
            EXPECT_EQ(process_receive(process, &result, WEFT_FOREVER), 0);
            EXPECT_STR(result.text, "");
            EXPECT_EQ(result.result_bytes, bytes);
            const char *bytes_given = result.result;
            EXPECT_EQ(bytes_given[bytes - 1], '\0');
            EXPECT_TRUE(bytes < 2 || bytes_given[bytes / 2 - 1] == 'x');
            free(result.result);
        }
    process_close(process);
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
    struct process *process = open_process();
    weft_call call = { .pointer = (void *)0x1234, .index = UINT64_MAX, .attempt = 3 };
    struct process_result result;
    EXPECT_EQ(process_send(process, show_call, &call), 0);
    EXPECT_EQ(process_receive(process, &result, WEFT_FOREVER), 0);
    EXPECT_STR((char *)result.result, "0x1234 18446744073709551615 3");
    free(result.result);
    process_close(process);
}

static int limit_memory(weft_call *call)
{
    (void)call;
    struct rlimit limit = { 0 };
    getrlimit(RLIMIT_AS, &limit);
    FILE *statm = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;
    if (!statm || fscanf(statm, "%lu", &pages) != 1)
        return -EIO;
    fclose(statm);
    limit.rlim_cur = pages * (unsigned long)sysconf(_SC_PAGESIZE) + (16UL << 20);
    return setrlimit(RLIMIT_AS, &limit) < 0 ? -errno : 0;
}

TEST(process_without_memory_for_an_argument_fails_the_call_only)
{
    if (HARNESS_SANITIZED)
        SKIP("a sanitizer needs its addresses");
    if (HARNESS_EMULATED)
        SKIP("QEMU's user mode ignores limits of addresses");
    begin();
    struct process *process = open_process();
    EXPECT_EQ(run(process, limit_memory, NULL, 0).status, 0);
    size_t n = 40 << 20;
    char *arg = calloc(1, n);
    struct process_result result = run(process, echo, arg, n);
    EXPECT_EQ(result.status, -ENOMEM);
    EXPECT_STR(result.text, "no memory for an argument of 41943040 bytes");
    free(arg);
    result = run(process, echo, "still here", 11);
    EXPECT_STR((char *)result.result, "still here");
    free(result.result);
    process_close(process);
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
        struct process *process;
        struct process_options options = { .context = large, .context_bytes = n };
        EXPECT_EQ(process_open(&process, &options), 0);
        for (int again = 0; again < 2; again++) {
            struct process_result result = run(process, read_context, NULL, 0);
            EXPECT_EQ(result.result_bytes, n);
            EXPECT_EQ(memcmp(result.result, large, n), 0);
            free(result.result);
        }
        process_close(process);
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
    struct process *process;
    struct process_options options = { .context = number, .context_bytes = WEFT_POINTER };
    EXPECT_EQ(process_open(&process, &options), 0);
    EXPECT_EQ(run_number(process, count_up), 1);
    EXPECT_EQ(*number, 1);
    process_close(process);
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
    struct process *process;
    struct process_result result;
    struct process_end end;
    struct process_options options = { .context = "state",
                                       .context_bytes = 6,
                                       .enter = enter_or_not };
    EXPECT_EQ(process_open(&process, &options), 0);
    result = run(process, read_worker, NULL, 0);
    EXPECT_STR((char *)result.result, "state");
    free(result.result);
    process_finish(process);
    EXPECT_EQ(process_wait(process, &end, WEFT_FOREVER), 0);
    EXPECT_EQ(end.signal, 0);
    EXPECT_EQ(end.exit_code, 0);
    process_close(process);
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
    struct process *process;
    struct process_result result;
    struct process_end end;
    struct process_options options = {
        .context = &here, .context_bytes = sizeof here, .enter = enter_left, .leave = leave
    };
    EXPECT_EQ(process_open(&process, &options), 0);
    start(process, echo, "last", 5);
    process_finish(process);
    EXPECT_EQ(process_receive(process, &result, WEFT_FOREVER), 0);
    EXPECT_STR((char *)result.result, "last");
    free(result.result);
    EXPECT_EQ(process_wait(process, &end, WEFT_FOREVER), 0);
    EXPECT_EQ(end.exit_code, 0);
    EXPECT_EQ(*here, 1);
    EXPECT_EQ(process_wait(process, &end, WEFT_NOW), 0); /* and again, without waiting */
    process_close(process);
}

TEST(process_reports_that_enter_failed)
{
    begin();
    struct process *process;
    struct process_result failure;
    struct process_end end;
    EXPECT_EQ(process_open(&process, &(struct process_options){ .enter = enter_or_not }), 0);
    EXPECT_EQ(process_ready(process, &failure, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(failure.status, -EACCES);
    EXPECT_STR(failure.text, "no context, no work");
    EXPECT_EQ(process_wait(process, &end, WEFT_FOREVER), 0);
    process_close(process);
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
    struct process *process;
    struct process_result failure;
    struct process_end end;
    EXPECT_EQ(process_open(&process, &(struct process_options){ .enter = die_entering }), 0);
    EXPECT_EQ(process_ready(process, &failure, WEFT_FOREVER), -EPIPE);
    EXPECT_EQ(process_wait(process, &end, WEFT_FOREVER), 0);
    EXPECT_EQ(end.exit_code, 9);
    process_close(process);
}

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
    struct process *one = open_process(), *two = open_process();
    struct process_result result = run(two, list_descriptors, NULL, 0);
    EXPECT_STR((char *)result.result,
               "/memfd socket socket "); /* and of weft's: shared memory, channel, control */
    free(result.result);
    process_close(one);
    process_close(two);
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
    struct process *one = open_process(), *two = open_process();
    struct process_result result = run(two, list_descriptors, NULL, 0);
    EXPECT_STR((char *)result.result, "/memfd socket socket ");
    free(result.result);
    process_close(one);
    process_close(two);
    EXPECT_EQ(fcntl(before, F_GETFD), 0);
}

TEST(process_leaves_closed_stdio_alone)
{
    DESCRIPTORS_MAY_STAY();
    close(0);
    NEEDS_PROCESSES();
    EXPECT_EQ(weft_init(), 0);
    struct process *process = open_process();
    EXPECT_EQ(fcntl(0, F_GETFD), -1);
    struct process_result result = run(process, list_descriptors, NULL, 0);
    EXPECT_STR((char *)result.result, "/memfd socket socket ");
    free(result.result);
    process_close(process);
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
    struct process *process = open_process();
    EXPECT_EQ(run_number(process, read_mask), 1 | 4 | 8);
    process_signal(process, SIGTERM);
    struct process_end end;
    EXPECT_EQ(process_wait(process, &end, WEFT_FOREVER), 0);
    EXPECT_EQ(end.signal, SIGTERM);
    process_close(process);
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
    struct process *process = open_process();
    struct process_result result = run(process, read_directory, NULL, 0);
    EXPECT_STR((char *)result.result, "/usr/lib");
    free(result.result);
    process_close(process);
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
    struct process *process;
    for (int named = 0; named < 2; named++) {
        struct process_options options = { .name = named ? "a-long-name-0123456789" : NULL };
        EXPECT_EQ(process_open(&process, &options), 0);
        struct process_result result = run(process, read_name, NULL, 0);
        EXPECT_STR((char *)result.result, named ? "a-long-name-012" : "program");
        free(result.result);
        process_close(process);
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
