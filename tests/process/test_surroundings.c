/* SPDX-License-Identifier: MIT */
/* What a process finds around it: environment, directory, CPUs, niceness, a limit of memory. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "asking.h"

static int look_up(weft_call *call)
{
    return answer(call, getenv(call->arg));
}

static int count_environment(weft_call *call)
{
    char number[20];
    int n = 0;
    while (environ && environ[n])
        n++;
    snprintf(number, sizeof number, "%d", n);
    return answer(call, number);
}

TEST(environment_is_replaced)
{
    EXPECT_EQ(setenv("WEFT_TEST_OLD", "old", 1), 0);
    begin();
    EXPECT_EQ(setenv("WEFT_TEST_LATE", "late", 1), 0);
    const char *const none[] = { NULL };
    const char *const two[] = { "WEFT_TEST_NEW=new = better", "EMPTY=", NULL };
    EACH_START (start)
        EACH_PLACE (place) {
            weft_options options = { .start = start };
            expect_answer(place, &options, look_up, "WEFT_TEST_OLD", "old");
            expect_answer(place, &options, look_up, "WEFT_TEST_LATE",
                          start == WEFT_START_FORK ? "late" : NULL);
            options.environment = two;
            expect_answer(place, &options, look_up, "WEFT_TEST_NEW", "new = better");
            expect_answer(place, &options, look_up, "EMPTY", "");
            expect_answer(place, &options, look_up, "WEFT_TEST_OLD", NULL);
            expect_answer(place, &options, count_environment, "", "2");
            options.environment = none;
            expect_answer(place, &options, count_environment, "", "0");
        }
}

static int change_environment(weft_call *call)
{
    if (setenv("WEFT_TEST_NEW", "newer", 1) < 0 || setenv("MORE", "more", 1) < 0)
        return -errno;
    return answer(call, getenv("WEFT_TEST_NEW"));
}

TEST(environment_may_be_changed_by_the_process)
{
    begin();
    EACH_START (start)
        EACH_PLACE (place) {
            weft_options options = { .start = start,
                                     .environment =
                                         (const char *const[]){ "WEFT_TEST_NEW=0", NULL } };
            expect_answer(place, &options, change_environment, "", "newer");
        }
}

static int say_directory(weft_call *call)
{
    char path[4096];
    return getcwd(path, sizeof path) ? answer(call, path) : -errno;
}

TEST(directory_is_entered)
{
    char here[4096], template[] = "/tmp/weft-test-XXXXXX", inner[64];
    EXPECT_TRUE(mkdtemp(template));
    snprintf(inner, sizeof inner, "%s/inner", template);
    EXPECT_EQ(mkdir(inner, 0700), 0);
    begin();
    EXPECT_EQ(chdir(template), 0);
    EXPECT_TRUE(getcwd(here, sizeof here));
    EACH_START (start)
        EACH_PLACE (place) {
            expect_answer(place, &(weft_options){ .start = start }, say_directory, "", here);
            expect_answer(place, &(weft_options){ .directory = "/" }, say_directory, "", "/");
            expect_answer(place, &(weft_options){ .directory = "inner" }, say_directory, "", inner);
            expect_failure(place, &(weft_options){ .directory = "none" }, say_directory, -ENOENT,
                           "directory none: No such file or directory");
        }
    EXPECT_EQ(rmdir(inner), 0);
    EXPECT_EQ(rmdir(template), 0);
}

static int say_cpus(weft_call *call)
{
    cpu_set_t set;
    char text[20];
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return -errno;
    int n = CPU_COUNT(&set), first = 0;
    while (!CPU_ISSET(first, &set))
        first++;
    snprintf(text, sizeof text, "%d from %d", n, first);
    return answer(call, text);
}

TEST(cpus_are_the_only_ones_used)
{
    cpu_set_t set;
    char cpu[40], expected[40];
    begin();
    EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    int last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &set))
        last--;
    snprintf(cpu, sizeof cpu, "%d,8000-8191", last); /* those beyond are passed over */
    snprintf(expected, sizeof expected, "1 from %d", last);
    EACH_START (start)
        EACH_PLACE (place) {
            expect_answer(place, &(weft_options){ .cpus = cpu }, say_cpus, "", expected);
            expect_failure(place, &(weft_options){ .cpus = "8191" }, say_cpus, -EINVAL,
                           "cpus 8191: Invalid argument");
        }
}

static int say_niceness(weft_call *call)
{
    char text[20];
    snprintf(text, sizeof text, "%d", getpriority(PRIO_PROCESS, 0));
    return answer(call, text);
}

static void become_nobody(void)
{
    if (getuid() == 0) {
        EXPECT_EQ(setresgid(65534, 65534, 65534), 0);
        EXPECT_EQ(setresuid(65534, 65534, 65534), 0);
    }
    EXPECT_EQ(setrlimit(RLIMIT_NICE, &(struct rlimit){ 0, 0 }), 0);
}

TEST(niceness_is_added)
{
    EXPECT_EQ(setpriority(PRIO_PROCESS, 0, 3), 0);
    become_nobody();
    begin();
    EACH_START (start)
        EACH_PLACE (place) {
            expect_answer(place, &(weft_options){ .start = start }, say_niceness, "", "3");
            expect_answer(place, &(weft_options){ .niceness = 4 }, say_niceness, "", "7");
            expect_answer(place, &(weft_options){ .niceness = 39 }, say_niceness, "", "19");
            expect_failure(place, &(weft_options){ .niceness = -1 }, say_niceness, -EPERM,
                           "niceness -1: ");
        }
}

/* ---- memory */

#define MIB ((size_t)1 << 20)

static void needs_limits(void)
{
    if (HARNESS_EMULATED)
        SKIP("QEMU's user mode knows no limit of memory");
}

/* Takes 100 MiB, which is too much, then 10, which is not. */
static int take_memory(weft_call *call)
{
    char *volatile memory = malloc(100 * MIB); /* volatile: clang would do without malloc() */
    int error = errno;
    free(memory);
    if (memory)
        return weft_call_fail(call, -ERANGE, "100 MiB were to be had");
    if (error != ENOMEM)
        return weft_call_fail(call, -error, "not the right error");
    if (mmap(NULL, 100 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
        MAP_FAILED)
        return weft_call_fail(call, -ERANGE, "100 MiB could be mapped");
    memory = malloc(10 * MIB);
    if (!memory)
        return weft_call_fail(call, -ENOMEM, "10 MiB were not to be had");
    memset(memory, 1, 10 * MIB);
    free(memory);
    void *shared = weft_shared_alloc(100 * MIB);
    if (!shared)
        return weft_call_fail(call, -ENOMEM, "nor 100 MiB of shared memory");
    weft_shared_free(shared);
    return answer(call, "limited");
}

TEST(memory_beyond_the_limit_is_refused_inside_the_function)
{
    if (HARNESS_SANITIZED)
        SKIP("a sanitizer's malloc ends the program, or takes memory as it likes");
    needs_limits();
    void *much = mmap(NULL, 200 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(much, MAP_FAILED);
    begin();
    EACH_START (start)
        EACH_PLACE (place)
            expect_answer(place, &(weft_options){ .memory_bytes_max = 50 * MIB }, take_memory, "",
                          "limited");
    munmap(much, 200 * MIB);
}

static int say_limit(weft_call *call)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_DATA, &limit) < 0)
        return -errno;
    return answer(call, limit.rlim_cur == RLIM_INFINITY   ? "none"
                        : limit.rlim_cur < limit.rlim_max ? "soft"
                                                          : "hard");
}

TEST(a_limit_of_memory_cannot_be_raised_by_the_function)
{
    needs_limits();
    begin();
    EACH_START (start)
        EACH_PLACE (place) {
            expect_answer(place, &(weft_options){ .start = start }, say_limit, "", "none");
            expect_answer(place, &(weft_options){ .memory_bytes_max = MIB }, say_limit, "", "hard");
            expect_answer(place, &(weft_options){ .memory_bytes_max = UINT64_MAX }, say_limit, "",
                          "none");
        }
}

REGISTER(look_up, count_environment, change_environment, say_directory, say_cpus, say_niceness,
         take_memory, say_limit)

/* ---- what is refused at once */

static void expect_refused(const weft_options *options, weft_kind kind, int error)
{
    weft_group *group;
    weft_pool *pool;
    EXPECT_EQ(weft_group_open(&group, kind, options), error);
    EXPECT_EQ(weft_pool_open(&pool, kind, options), error);
}

TEST(options_without_sense_are_refused)
{
    static const char *const no_lists[] = {
        "",     ",",   "1,",  "1,,2",   "-1",
        "2-1",  "1-",  "1 ",  "a",      "1-2-3",
        "8192", "0x1", "1;2", "0-8192", "99999999999999999999"
    };
    begin();
    for (size_t i = 0; i < sizeof no_lists / sizeof *no_lists; i++)
        expect_refused(&(weft_options){ .cpus = no_lists[i] }, WEFT_PROCESSES, -EINVAL);
    expect_refused(&(weft_options){ .environment = (const char *const[]){ "A=", "B", NULL } },
                   WEFT_PROCESSES, -EINVAL);
    expect_refused(&(weft_options){ .environment = (const char *const[]){ "=B", NULL } },
                   WEFT_PROCESSES, -EINVAL);
    expect_refused(&(weft_options){ .directory = "" }, WEFT_PROCESSES, -EINVAL);
    expect_refused(&(weft_options){ .niceness = 40 }, WEFT_PROCESSES, -EINVAL);
    expect_refused(&(weft_options){ .niceness = -40 }, WEFT_PROCESSES, -EINVAL);
    expect_refused(&(weft_options){ .start = (weft_start)3 }, WEFT_PROCESSES, -EINVAL);
}

TEST(other_kinds_refuse_promises_and_ignore_hints)
{
    static const weft_kind kinds[] = { WEFT_SERIAL, WEFT_THREADS, WEFT_TASKS };
    DESCRIPTORS_MAY_STAY(); /* a task's worker keeps its own */
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        weft_group *group;
        expect_refused(&(weft_options){ .environment = (const char *const[]){ NULL } }, kinds[i],
                       -ENOTSUP);
        expect_refused(&(weft_options){ .directory = "/" }, kinds[i], -ENOTSUP);
        expect_refused(&(weft_options){ .memory_bytes_max = 1 }, kinds[i], -ENOTSUP);
        weft_options hints = { .niceness = 1, .cpus = "0", .start = WEFT_START_EXEC };
        EXPECT_EQ(weft_group_open(&group, kinds[i], &hints), 0);
        weft_group_close(group);
    }
}

TEST(a_group_on_a_pool_of_processes_refuses_what_the_pool_decides)
{
    weft_pool *pool;
    weft_group *group;
    begin();
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &(weft_options){ .workers = 1 }), 0);
    weft_options all[] = { { .directory = "/" },
                           { .memory_bytes_max = 1 },
                           { .environment = (const char *const[]){ NULL } } };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        all[i].pool = pool;
        EXPECT_EQ(weft_group_open(&group, WEFT_PROCESSES, &all[i]), -ENOTSUP);
    }
    weft_pool_close(pool);
}
