/* SPDX-License-Identifier: MIT */
/* A task that runs out of stack is named before the process aborts; other faults are the program's.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fatal.h"
#include "tasks.h"

/* ---- overflows */

static volatile int bottomless = 1;

__attribute__((noinline)) static int dig(int depth)
{
    volatile char block[512];
    block[0] = (char)depth;
    return bottomless ? dig(depth + 1) + block[0] : block[0];
}

static int dig_in_task(weft_call *call)
{
    (void)call;
    (void)weft_yield();
    return dig(0);
}

static void overflow_in(const weft_options *options)
{
    weft_group *g;
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, options), 0);
    EXPECT_EQ(weft_group_start(g, dig_in_task, NULL, 0), 0);
    (void)!weft_group_join(g, WEFT_FOREVER);
}

static void overflow_of_a_group(void)
{
    overflow_in(&(weft_options){ .name = "digger", .stack_bytes = 64 * 1024 });
}

TEST(an_overflow_is_reported_with_the_tasks_name_and_aborts)
{
    run_fatal(overflow_of_a_group);
    expect_killed_by(SIGABRT);
    EXPECT_HAS(end.said, "weft: the task digger-0 has overflowed its stack of");
}

TEST(an_overflow_is_reported_with_guards_by_mprotect_too)
{
    setenv("WEFT_GUARDS", "mprotect", 1);
    run_fatal(overflow_of_a_group);
    expect_killed_by(SIGABRT);
    EXPECT_HAS(end.said, "digger-0 has overflowed");
}

static int dig_renamed(weft_call *call)
{
    weft_self_set_name("the deep one");
    return dig_in_task(call);
}

static void overflow_renamed(void)
{
    weft_group *g = tasks_open();
    EXPECT_EQ(weft_group_start(g, dig_renamed, NULL, 0), 0);
    (void)!weft_group_join(g, WEFT_FOREVER);
}

TEST(an_overflow_is_reported_with_the_name_that_the_task_gave_itself)
{
    run_fatal(overflow_renamed);
    expect_killed_by(SIGABRT);
    EXPECT_HAS(end.said, "the task the deep one has overflowed");
}

static void overflow_nameless(void)
{
    overflow_in(NULL);
}

TEST(an_overflow_of_a_nameless_group_is_reported_by_number)
{
    run_fatal(overflow_nameless);
    expect_killed_by(SIGABRT);
    EXPECT_HAS(end.said, "the task tasks-0");
}

/* ---- other faults */

static char *page; /* that nobody may write to */

static void own_handler(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    if (info->si_addr != page)
        _exit(7);
    static const char text[] = "own handler\n";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void make_page(void)
{
    page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(page, MAP_FAILED);
}

static int write_to_page(weft_call *call)
{
    (void)call;
    *(volatile char *)page = 1;
    return 0;
}

/* Memcheck sees the program's own faults as its mistakes. */
static void needs_faults(void)
{
    if (HARNESS_VALGRIND)
        SKIP("valgrind reports the fault itself");
}

static void set_handler(void (*fn)(int, siginfo_t *, void *))
{
    struct sigaction action = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    EXPECT_EQ(sigaction(SIGSEGV, &action, NULL), 0);
}

static void fault_in_a_task_with_own_handler(void)
{
    set_handler(own_handler);
    make_page();
    in_tasks(1, write_to_page);
    munmap(page, 4096);
    make_page();
    *(volatile char *)page = 1; /* in this thread, too */
}

TEST(a_programs_own_handler_gets_other_faults)
{
    needs_faults();
    run_fatal(fault_in_a_task_with_own_handler);
    EXPECT_TRUE(WIFEXITED(end.status));
    EXPECT_EQ(WEXITSTATUS(end.status), 0);
    EXPECT_STR(end.said, "own handler\nown handler\n");
}

static void overflow_with_own_handler(void)
{
    set_handler(own_handler);
    overflow_of_a_group();
}

TEST(an_overflow_is_reported_though_the_program_has_a_handler)
{
    run_fatal(overflow_with_own_handler);
    expect_killed_by(SIGABRT);
    EXPECT_HAS(end.said, "digger-0 has overflowed");
}

static void set_default(void)
{
    struct sigaction action = { .sa_handler = SIG_DFL }; /* not a sanitizer's */
    EXPECT_EQ(sigaction(SIGSEGV, &action, NULL), 0);
}

static int nothing(weft_call *call)
{
    (void)call;
    return 0;
}

static void fault_in_a_task(void)
{
    set_default();
    make_page();
    in_tasks(1, write_to_page);
}

TEST(another_fault_of_a_task_ends_the_process_as_without_us)
{
    needs_faults();
    run_fatal(fault_in_a_task);
    expect_killed_by(SIGSEGV);
    EXPECT_FALSE(strstr(end.said, "overflowed"));
}

static void sent_by_kill(void)
{
    set_default();
    in_tasks(1, nothing);
    kill(getpid(), SIGSEGV);
    for (;;)
        pause(); /* it comes at the latest now */
}

TEST(a_signal_that_somebody_sends_ends_the_process_as_without_us)
{
    run_fatal(sent_by_kill);
    expect_killed_by(SIGSEGV);
}

static void sent_though_ignored(void)
{
    signal(SIGSEGV, SIG_IGN);
    in_tasks(1, nothing);
    raise(SIGSEGV);
    raise(SIGSEGV);
    in_tasks(1, nothing);
}

TEST(a_signal_that_somebody_sends_is_ignored_if_it_was_before)
{
    run_fatal(sent_though_ignored);
    EXPECT_TRUE(WIFEXITED(end.status));
    EXPECT_EQ(WEXITSTATUS(end.status), 0);
}
