/* SPDX-License-Identifier: MIT */
/*
 * Stacks: guards that guard, in each of the three ways and where the kernel only says so; who gets
 * which stack again; what goes back to the system.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "task/stack.h"
#include "tasks.h"

static struct stack *take(struct stack_cache *cache, size_t bytes)
{
    EXPECT_EQ(stack_prepare(), 0);
    return stack_take(cache, bytes);
}

enum { MADV_GUARD = 102 }; /* MADV_GUARD_INSTALL, of Linux 6.13 */

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- guards */

/* The kernel is asked to write there: where this process could not, it cannot either. */
static bool writable(const void *page)
{
    errno = 0;
    int rc = uname((struct utsname *)page);
    return rc == 0 || errno != EFAULT;
}

static void expect_guard(size_t bytes, bool guarded)
{
    struct stack *stack = take(NULL, bytes);
    EXPECT_TRUE(stack);
    const char *low = stack->low;
    EXPECT_TRUE(writable(low));
    EXPECT_EQ(writable(low - page_bytes()), !guarded);
    EXPECT_TRUE(stack_guards(stack, low - 1));
    EXPECT_FALSE(stack_guards(stack, low));
    EXPECT_FALSE(stack_guards(stack, stack));
    const char *lowest = low;
    while (stack_guards(stack, lowest - page_bytes()))
        lowest -= page_bytes();
    EXPECT_EQ(writable(lowest), !guarded);
    EXPECT_LE(low - lowest, 64 * 1024);
    memset(stack->low, 1, (size_t)((char *)stack - stack->low)); /* all the rest is usable */
    stack_give(NULL, stack);
}

static void expect_guards(bool guarded)
{
    static const size_t sizes[] = { 0, 1, STACK_BYTES_MIN, STACK_BYTES_DEFAULT, 1 << 20, 5 << 20 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        expect_guard(sizes[i], guarded);
}

TEST(light_guards_guard)
{
    setenv("WEFT_GUARDS", "madvise", 1);
    expect_guards(true);
}

TEST(protected_guards_guard)
{
    setenv("WEFT_GUARDS", "mprotect", 1);
    expect_guards(true);
}

TEST(guards_are_left_out_if_asked_for)
{
    setenv("WEFT_GUARDS", "none", 1);
    expect_guards(false);
}

/* From now on this process's kernel answers MADV_GUARD_INSTALL with an error, or with 0 and does
 * nothing. */
static void madvise_answers(unsigned error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_GUARD, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = sizeof filter / sizeof *filter, .filter = filter };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        SKIP("no seccomp filters here");
}

TEST(an_older_kernel_gets_protected_guards)
{
    madvise_answers(EINVAL);
    expect_guards(true);
}

/* As QEMU's user mode does. */
TEST(a_kernel_that_only_says_so_gets_protected_guards)
{
    madvise_answers(0);
    expect_guards(true);
}

/* ---- too many mappings */

enum { MAPPINGS_MAX = 300000 };

/* Takes all the mappings that this process may have. Returns the region, of MAPPINGS_MAX pages. */
static char *exhaust_mappings(void)
{
    size_t page = page_bytes();
    char *region = mmap(NULL, MAPPINGS_MAX * page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT_NE(region, MAP_FAILED);
    for (size_t i = 0; i < MAPPINGS_MAX; i += 2)
        if (mprotect(region + i * page, page, PROT_NONE) != 0)
            return region;
    SKIP("vm.max_map_count is more than %d", MAPPINGS_MAX);
}

static int nothing(weft_call *call)
{
    (void)call;
    return 0;
}

static weft_event go;

static int wait_for_go(weft_call *call)
{
    (void)call;
    return weft_event_wait(&go, WEFT_FOREVER);
}

TEST(without_mappings_for_guards_starts_fail_and_work_again)
{
    if (HARNESS_SANITIZED || HARNESS_EMULATED)
        SKIP("what runs the test needs mappings of its own");
    setenv("WEFT_GUARDS", "mprotect", 1);
    workers_are("1");
    weft_group *g = tasks_open();
    char *region = exhaust_mappings();
    int rc = 0, started = 0;
    while (started < 1000 && (rc = weft_group_start(g, wait_for_go, NULL, 0)) == 0)
        started++;
    int again = weft_group_start(g, wait_for_go, NULL, 0);
    munmap(region, MAPPINGS_MAX * page_bytes());
    EXPECT_EQ(rc, -ENOMEM);
    EXPECT_EQ(again, -ENOMEM);
    for (int i = 0; i < 1000; i++)
        EXPECT_EQ(weft_group_start(g, wait_for_go, NULL, 0), 0);
    weft_event_set(&go);
    tasks_join(g);
}

/* ---- which one again, and how big */

TEST(the_stack_that_was_given_back_last_is_taken_first)
{
    struct stack_cache cache = { 0 };
    struct stack *stacks[5];
    for (int i = 0; i < 5; i++)
        stacks[i] = take(&cache, 0);
    for (int i = 0; i < 5; i++)
        stack_give(&cache, stacks[i]);
    for (int i = 4; i >= 0; i--)
        EXPECT_EQ(take(&cache, 0), stacks[i]);
    for (int i = 0; i < 5; i++)
        stack_give(NULL, stacks[i]);
    for (int i = 4; i >= 0; i--)
        EXPECT_EQ(take(NULL, 0), stacks[i]);
}

TEST(a_stack_is_as_big_as_asked_for_or_not_given)
{
    static const size_t sizes[] = {
        1,      4096,   32768,           32769,           65536,          200000,
        262144, 262145, (size_t)3 << 20, (size_t)1 << 29, STACK_BYTES_MAX
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (HARNESS_VALGRIND && sizes[i] > 8 << 20)
            continue; /* it takes a minute over a slab of them */
        struct stack *stack = take(NULL, sizes[i]);
        EXPECT_TRUE(stack);
        const char *lowest = stack->low;
        while (stack_guards(stack, lowest - 1))
            lowest -= page_bytes();
        EXPECT_GE((const char *)stack + 1024 - lowest, sizes[i]); /* colours take a little */
        stack_give(NULL, stack);
    }
    EXPECT_FALSE(take(NULL, STACK_BYTES_MAX + 1));
    EXPECT_FALSE(take(NULL, SIZE_MAX));
}

/* Uses so many bytes of stack. */
__attribute__((noinline)) static int use(size_t bytes)
{
    volatile char block[1024];
    block[0] = block[sizeof block - 1] = 1;
    int below = bytes > 2 * sizeof block ? use(bytes - sizeof block) : 0;
    return below + block[0];
}

static int use_part(weft_call *call)
{
    size_t part = *(const size_t *)call->arg;
    EXPECT_GT(use(part), 0);
    EXPECT_EQ(weft_yield(), 0);
    EXPECT_GT(use(part), 0);
    return 0;
}

TEST(groups_with_stacks_of_many_sizes_run_side_by_side)
{
    static const size_t sizes[] = { 0, 128 * 1024, 1 << 20, 8 << 20 };
    weft_group *groups[4];
    workers_are("2");
    for (int i = 0; i < 4; i++)
        EXPECT_EQ(
            weft_group_open(&groups[i], WEFT_TASKS, &(weft_options){ .stack_bytes = sizes[i] }), 0);
    for (int round = 0; round < 300; round++) {
        size_t bytes = sizes[round % 4] ? sizes[round % 4] : STACK_BYTES_DEFAULT;
        size_t part = bytes / (HARNESS_SANITIZED ? 16 : 4);
        EXPECT_EQ(weft_group_start(groups[round % 4], use_part, &part, sizeof part), 0);
    }
    for (int i = 0; i < 4; i++)
        tasks_join(groups[i]);
}

TEST(a_stack_that_is_too_big_is_refused)
{
    weft_group *g;
    weft_options options = { .stack_bytes = STACK_BYTES_MAX + 1 };
    EXPECT_EQ(weft_group_open(&g, WEFT_TASKS, &options), -EINVAL);
}

/* ---- what goes back */

static size_t resident_pages(const struct stack *stack)
{
    static unsigned char in_memory[1 << 14];
    size_t bytes = (size_t)((const char *)stack - stack->low), n = 0;
    EXPECT_EQ(mincore(stack->low, bytes, in_memory), 0);
    for (size_t i = 0; i <= bytes / page_bytes(); i++)
        n += in_memory[i] & 1;
    return n;
}

static void expect_trimmed(size_t bytes, size_t touch_first, size_t touch_last)
{
    struct stack *stack = take(NULL, bytes);
    EXPECT_TRUE(stack);
    struct stack *keeper = take(NULL, bytes); /* so that the slab stays */
    char *top = (char *)stack;
    for (size_t at = touch_first; at <= touch_last; at += page_bytes())
        top[-(ptrdiff_t)at] = 1;
    EXPECT_GE(resident_pages(stack), (touch_last - touch_first) / page_bytes() + 1);
    stack_give(NULL, stack);
    EXPECT_LE(resident_pages(stack), 2);
    EXPECT_EQ(take(NULL, bytes), stack);
    stack_give(NULL, stack);
    stack_give(NULL, keeper);
}

TEST(a_deep_stack_goes_back_without_its_pages)
{
    expect_trimmed(0, 4096, 100 * 1024);
    expect_trimmed(8 << 20, 4096, 4 << 20);
}

/* A big buffer that was touched only at its end: nothing lies where a look at one page would be. */
TEST(a_deep_stack_with_a_gap_goes_back_without_its_pages)
{
    expect_trimmed(0, 80 * 1024, 120 * 1024);
    expect_trimmed(8 << 20, 3 << 20, 4 << 20);
}

static size_t address_space(void)
{
    size_t pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    EXPECT_TRUE(statm);
    EXPECT_EQ(fscanf(statm, "%zu", &pages), 1);
    fclose(statm);
    return pages * page_bytes();
}

TEST(bursts_leave_nothing_behind)
{
    enum { BURST = HARNESS_SANITIZED ? 500 : 5000 };
    struct stack *stacks[BURST];
    struct stack_cache cache = { 0 };
    size_t before = 0;
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < BURST; i++) {
            stacks[i] = take(i % 2 ? &cache : NULL, i % 3 ? 0 : 64 * 1024);
            EXPECT_TRUE(stacks[i]);
        }
        for (int i = 0; i < BURST; i++) /* in another order than they came */
            stack_give(i % 5 ? &cache : NULL, stacks[(size_t)i * 7 % BURST]);
        EXPECT_LE(cache.count, 128);
        size_t now = address_space();
        if (round == 0)
            before = now;
        /* What a cache keeps may lie in as many slabs, of 64 stacks each, but not in more. */
        EXPECT_LE(now, before + 128 * 64 * (size_t)STACK_BYTES_DEFAULT);
    }
}

/* The same with tasks: when the workers' caches are the only ones left, the slabs of the others are
 * gone. A million stacks of address space would show. */
TEST(bursts_of_tasks_leave_no_address_space_behind)
{
    enum { BURST = HARNESS_SANITIZED ? 2000 : 20000 };
    workers_are("2");
    /* A sanitizer maps memory of its own, for each stack that it has seen, now and then. */
    size_t first = 0, more = (size_t)BURST * STACK_BYTES_DEFAULT / (HARNESS_SANITIZED ? 1 : 2);
    for (int round = 0; round < 5; round++) {
        weft_event_init(&go);
        weft_group *g = tasks_open();
        for (int i = 0; i < BURST; i++)
            EXPECT_EQ(weft_group_start(g, wait_for_go, NULL, 0), 0);
        weft_event_set(&go);
        tasks_join(g);
        in_tasks(1, nothing);
        if (round == 0)
            first = address_space();
        EXPECT_LE(address_space(), first + more);
    }
}
