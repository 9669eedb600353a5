/* SPDX-License-Identifier: MIT */
/*
 * Running the tests of one program: harness.h says what it promises.
 *
 * Check does the delicate part: it forks, waits, enforces the time limit, turns a signal or an
 * early exit into a failure and kills the test's process group. Around it, this file adds
 *
 *   a verdict per test    A page shared with the test's process says how far it got. A test that
 *                         calls exit(0) somewhere inside has not passed, although Check thinks so;
 *                         and a test that skips itself, which Check does not know, is told apart.
 *   descriptors           The set of open ones is noted before the test and compared after it.
 *   strays                The harness makes itself the parent of orphans, so that it can find and
 *                         kill even those that left the process group (a zygote, a daemon). It
 *                         reaps them as they end, as init would: a test that waits for a grandchild
 *                         to be gone must not see a zombie for ever.
 *   an early answer       One runner of Check per test, so that each line is printed as it happens;
 *                         when a whole program hangs or dies, the log says where. What hangs one
 *                         test often hangs its neighbours: after the second, the rest of the
 *                         program has failed without being run.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

#define TIMEOUT_S       (HARNESS_SANITIZED || HARNESS_EMULATED ? 180 : 60)
#define HANGS_MAX       2
#define DESCRIPTORS_MAX 4096
#define EXIT_SKIPPED    77

enum verdict { UNFINISHED, FINISHED, SKIPPED };

/* Shared between the harness and the process of the test that runs. */
struct board {
    pid_t process; /* of the test; 0 before it has begun */
    enum verdict verdict;
    char reason[256];
};

static struct harness_test *tests; /* constant once main() runs, in the order of the file */
static struct board *board;
static struct harness_test *current;      /* the test that runs */
static unsigned hangs;                    /* tests that took all of their time */
static void (*prepare)(void);             /* NULL: nothing */
static bool check_descriptors;            /* in the test's process, by its main thread only */
static bool descriptors[DESCRIPTORS_MAX]; /* those that were open before the test */

void harness_register(struct harness_test *test)
{
    struct harness_test **end = &tests;
    while (*end)
        end = &(*end)->next;
    *end = test;
}

/* ---- inside the test's process */

void harness_fail(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (getpid() != board->process) {
        fprintf(stderr, "%s:%d: in a process of the test: %s\n", file, line, text);
        abort();
    }
    _ck_assert_failed(file, line, "", "%s", text);
}

void harness_skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(board->reason, sizeof board->reason, format, args);
    va_end(args);
    board->verdict = SKIPPED;
    _exit(EXIT_SUCCESS);
}

void harness_needs_processes(void)
{
    if (!HARNESS_VALGRIND)
        return;
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (pidfd < 0)
        harness_skip("this valgrind does not know pidfd_open()");
    close(pidfd);
}

/* Marks which descriptors are open, without counting the one that looks. */
static void list_descriptors(bool open[DESCRIPTORS_MAX])
{
    memset(open, 0, DESCRIPTORS_MAX * sizeof *open);
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd < DESCRIPTORS_MAX && fd != dirfd(directory))
            open[fd] = true;
    }
    closedir(directory);
}

void harness_descriptors_count_from_here(void)
{
    list_descriptors(descriptors);
}

void harness_prepare_by(void (*fn)(void))
{
    prepare = fn;
}

void harness_descriptors_may_stay(void)
{
    check_descriptors = false;
}

static void expect_no_leaked_descriptor(void)
{
    static bool now[DESCRIPTORS_MAX];
    list_descriptors(now);
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
        if (now[fd] == descriptors[fd])
            continue;
        char link[64], target[256] = "?";
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (readlink(link, target, sizeof target - 1) < 0 && !now[fd])
            strcpy(target, "one that the test did not open");
        harness_fail(current->file, current->line, "descriptor %d was %s: %s", fd,
                     now[fd] ? "left open" : "closed", target);
    }
}

/* What Check calls; the test itself is `current`. */
static void run_body(int unused)
{
    (void)unused;
    signal(SIGCHLD, SIG_DFL);
    board->process = getpid();
    if (prepare)
        prepare();
    check_descriptors = true;
    harness_descriptors_count_from_here();
    current->body();
    if (check_descriptors)
        expect_no_leaked_descriptor();
    board->verdict = FINISHED;
}

/* ---- around it */

/* Reaps orphans that were given to us, and leaves the test itself to Check. */
static void reap_orphans(int unused)
{
    (void)unused;
    int error = errno;
    for (;;) {
        siginfo_t ended = { 0 };
        if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) < 0 || !ended.si_pid ||
            !board->process || ended.si_pid == board->process)
            break;
        waitpid(ended.si_pid, NULL, 0);
    }
    errno = error;
}

/* Kills all children that the system lists. False: there is none, or no list. */
static bool kill_children(void)
{
    char path[64], child[32];
    bool any = false;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *children = fopen(path, "re");
    while (children && fscanf(children, "%31s", child) == 1)
        any |= kill((pid_t)atoi(child), SIGKILL) == 0;
    if (children)
        fclose(children);
    return any;
}

/* Kills and reaps every process that the test left behind. Killing one may orphan others, which
 * then become ours too; without a child left there is no descendant left either. */
static void end_strays(void)
{
    sigset_t child, before;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD); /* or reap_orphans() might take the one that is waited for */
    sigprocmask(SIG_BLOCK, &child, &before);
    while (kill_children())
        (void)!waitpid(-1, NULL, 0);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Prints how the test went, and where it failed. */
static enum verdict print_verdict(SRunner *runner, int64_t took_ms)
{
    if (board->verdict == SKIPPED) {
        printf("skip    %s: %s\n", current->name, board->reason);
        return SKIPPED;
    }
    if (srunner_ntests_failed(runner) == 0 && board->verdict == FINISHED) {
        printf("ok      %s (%lld ms)\n", current->name, (long long)took_ms);
        return FINISHED;
    }
    const char *file = current->file, *message = "its process ended before the test did";
    int line = current->line;
    TestResult **failures = srunner_failures(runner);
    if (srunner_ntests_failed(runner) > 0) {
        message = tr_msg(failures[0]);
        hangs += strcmp(message, "Test timeout expired") == 0; /* in Check's words */
        if (tr_lno(failures[0]) > 0) {
            file = tr_lfile(failures[0]);
            line = tr_lno(failures[0]);
        }
    }
    printf("FAILED  %s (%lld ms)\n        %s:%d: %s\n", current->name, (long long)took_ms, file,
           line, message);
    free(failures);
    return UNFINISHED;
}

static SRunner *runner_of(const struct harness_test *test)
{
    static TTest check_test; /* Check keeps the address; one test runs at a time */
    check_test = (TTest){ test->name, run_body, test->file, test->line };
    TCase *tcase = tcase_create(test->name);
    tcase_set_timeout(tcase, TIMEOUT_S);
    tcase_add_test(tcase, &check_test);
    Suite *suite = suite_create(test->name);
    suite_add_tcase(suite, tcase);
    return srunner_create(suite);
}

/* Runs one test in a process of its own and prints how it went. */
static enum verdict run(struct harness_test *test)
{
    SRunner *runner = runner_of(test);
    bool own_process = srunner_fork_status(runner) == CK_FORK;
    current = test;
    *board = (struct board){ 0 };
    fflush(stdout);
    if (own_process)
        signal(SIGCHLD, reap_orphans);
    int64_t began = now_ms();
    srunner_run_all(runner, CK_SILENT);
    if (own_process) {
        signal(SIGCHLD, SIG_DFL);
        end_strays();
    }
    enum verdict verdict = print_verdict(runner, now_ms() - began);
    srunner_free(runner);
    return verdict;
}

/* Says of a test that it has failed, for what others have done. */
static enum verdict give_up(const struct harness_test *test)
{
    printf("FAILED  %s (0 ms)\n        %s:%d: not run, as %u before it hung\n", test->name,
           test->file, test->line, hangs);
    return UNFINISHED;
}

/* True if one of the patterns is part of the name or matches all of it; true without patterns. */
static bool wanted(const char *name, char *const patterns[])
{
    if (!patterns[0])
        return true;
    for (; *patterns; patterns++)
        if (strstr(name, *patterns) || fnmatch(*patterns, name, 0) == 0)
            return true;
    return false;
}

static int list(void)
{
    for (const struct harness_test *test = tests; test; test = test->next)
        puts(test->name);
    return 0;
}

int main(int argc, char *argv[])
{
    if (argc > 1 && strcmp(argv[1], "--list") == 0)
        return list();
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    /* QEMU refuses it, and is started by somebody who has done it. */
    bool adopts = HARNESS_EMULATED || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
    if (board == MAP_FAILED || !adopts) {
        perror("harness");
        return 1;
    }
    unsigned count[3] = { 0 };
    for (struct harness_test *test = tests; test; test = test->next)
        if (wanted(test->name, argv + 1))
            count[hangs < HANGS_MAX ? run(test) : give_up(test)]++;
    printf("%u passed, %u failed, %u skipped\n", count[FINISHED], count[UNFINISHED],
           count[SKIPPED]);
    if (count[UNFINISHED] || !(count[FINISHED] + count[SKIPPED]))
        return 1;
    return count[FINISHED] ? 0 : EXIT_SKIPPED;
}
