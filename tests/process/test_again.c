/* SPDX-License-Identifier: MIT */
/*
 * Processes that run the program again. The program is this test: a constructor does what the
 * beginning of a main() does elsewhere.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "asking.h"
#include "base/participants.h"
#include "base/shared_range.h"
#include "process/shared.h"

#define AGAIN (&(weft_options){ .start = WEFT_START_EXEC })

static int changed;  /* by the tests, in the program */
static int *entered; /* by enter_shared, in a process */

static int say_changed(weft_call *call)
{
    return answer(call, changed ? "old" : "fresh");
}

static int write_shared(weft_call *call)
{
    *(int *)call->pointer += *(int *)call->context;
    return 0;
}

static int enter_shared(weft_call *call, void **ret_worker)
{
    entered = call->context;
    *entered += 1;
    *ret_worker = entered;
    return 0;
}

static void leave_shared(void *worker)
{
    *(int *)worker += 100;
}

static int add_in_worker(weft_call *call)
{
    int *number = call->worker;
    if (number != entered)
        return weft_call_fail(call, -EINVAL, "not what enter gave");
    *number += 10;
    return 0;
}

/* The arguments of the calling program, with the NULs between them as bars. */
static int say_arguments(weft_call *call)
{
    char text[4000];
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    for (ssize_t i = 0; i < n - 1; i++)
        if (!text[i])
            text[i] = '|';
    return weft_call_return(call, text, n < 0 ? 0 : (size_t)n);
}

static int say_name(weft_call *call)
{
    char name[16];
    prctl(PR_GET_NAME, name);
    return answer(call, name);
}

/* What is left of the handing over: the variable, descriptors. */
static int say_remains(weft_call *call)
{
    char text[20];
    unsigned n = 0;
    if (getenv("WEFT_PROCESS"))
        return answer(call, "the variable");
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(directory));) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd != dirfd(directory) && fcntl(fd, F_GETFD) != FD_CLOEXEC)
            n += 100;
        n += fd > 2 && fd != dirfd(directory);
    }
    closedir(directory);
    snprintf(text, sizeof text, "%u descriptors", n);
    return answer(call, text);
}

/* The number of the process among those who share memory, in which it must be alive. */
static int say_participant(weft_call *call)
{
    if (!is_shared(call->pointer) || participant_is_dead(participant_self))
        return -EINVAL;
    return weft_call_return(call, &participant_self, sizeof participant_self);
}

/* What strands of this program and of itself run again have in common. */
struct common {
    weft_lock lock;
    weft_event taken;
    weft_queue *to, *from; /* the process */
};

static int give_take_and_die(weft_call *call)
{
    struct common *common = call->pointer;
    int number = 17;
    EXPECT_EQ(weft_queue_put(common->from, &number, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_queue_get(common->to, &number, WEFT_FOREVER), 0);
    EXPECT_EQ(number, 18);
    weft_lock_lock(&common->lock);
    weft_event_set(&common->taken);
    _exit(3);
}

static int die(weft_call *call)
{
    (void)call;
    _exit(7);
}

static int known_to_the_first_only(weft_call *call)
{
    return answer(call, "known");
}

static int enter_the_first_only(weft_call *call, void **ret_worker)
{
    (void)call;
    *ret_worker = NULL;
    return 0;
}

static int unregistered(weft_call *call)
{
    return answer(call, "run");
}

/* Calls a function in a process that is a fork of the zygote, or runs the program again. */
static int start_another(weft_call *call)
{
    weft_start start = strcmp(call->arg, "again") == 0 ? WEFT_START_EXEC : WEFT_START_ZYGOTE;
    weft_options options = { .start = start };
    EACH_PLACE (place)
        expect_answer(place, &options, say_changed, "", start == WEFT_START_EXEC ? "fresh" : "old");
    weft_group *group;
    EXPECT_EQ(weft_group_open(&group, WEFT_PROCESSES, &options), 0);
    EXPECT_EQ(weft_group_start(group, unregistered, NULL, 0), -EFAULT);
    weft_group_close(group);
    return answer(call, "both");
}

/* The first times that the program is run again, something lies where shared memory should. */
static void occupy(const char *path, const char *place_file, const char *times)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    char place[40] = "";
    int about = open(place_file, O_RDONLY | O_CLOEXEC);
    if (read(about, place, sizeof place - 1) < 1 || write(fd, "x", 1) != 1)
        abort();
    off_t tries = lseek(fd, 0, SEEK_END);
    close(about);
    close(fd);
    if (tries <= atoi(times))
        (void)!mmap((void *)(uintptr_t)strtoull(place, NULL, 0), 4096, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

/* Before the library's own constructor, which takes the variable away. */
__attribute__((constructor(200))) static void begin_program(void)
{
    bool again = getenv("WEFT_PROCESS"), ok = true;
    static weft_fn *const all[] = { add_in_worker,    die,          say_arguments,
                                    say_changed,      say_name,     say_remains,
                                    start_another,    write_shared, say_participant,
                                    give_take_and_die };
    size_t n = sizeof all / sizeof *all;
    for (size_t i = 0; i < n; i++) { /* in another order the second time */
        char name[20];
        size_t which = again ? n - 1 - i : i;
        snprintf(name, sizeof name, "function %zu", which);
        ok = weft_register(name, all[which]) == 0 && ok;
        if (!again && i == 3)
            ok = weft_register("first", known_to_the_first_only) == 0 &&
                 weft_register_worker("first", enter_the_first_only, NULL) == 0 && ok;
    }
    ok = weft_register_worker("function 1", enter_shared, leave_shared) == 0 && ok;
    if (!ok)
        abort();
    if (!again)
        return;
    const char *code = getenv("WEFT_TEST_EXIT"), *path = getenv("WEFT_TEST_OCCUPY");
    const char *place_file = getenv("WEFT_TEST_PLACE"), *times = getenv("WEFT_TEST_TIMES");
    if (code)
        _exit(atoi(code));
    if (path && place_file && times)
        occupy(path, place_file, times);
    (void)!weft_init();
    abort(); /* it has come back */
}

static void begin_again(void)
{
    if (HARNESS_EMULATED)
        SKIP("QEMU's user mode would run QEMU again");
    changed = 1;
    begin();
}

TEST(a_process_that_runs_the_program_again_is_fresh)
{
    begin_again();
    EACH_PLACE (place) {
        expect_answer(place, &(weft_options){ 0 }, say_changed, "", "old");
        expect_answer(place, AGAIN, say_changed, "", "fresh");
    }
}

TEST(its_arguments_and_name_are_the_programs)
{
    begin_again();
    struct worker *process = open_worker();
    struct result arguments = run(process, say_arguments, NULL, 0);
    EACH_PLACE (place)
        expect_answer(place, AGAIN, say_arguments, "", arguments.result);
    free(arguments.result);
    worker_close(process);
    expect_answer(IN_GROUP, &(weft_options){ .start = WEFT_START_EXEC, .name = "again" }, say_name,
                  "", "again-0");
}

TEST(nothing_is_left_of_the_handing_over)
{
    begin_again();
    EACH_PLACE (place) {
        expect_answer(place, AGAIN, say_remains, "", "3 descriptors");
        weft_options empty = { .start = WEFT_START_EXEC,
                               .environment = (const char *const[]){ NULL } };
        expect_answer(place, &empty, say_remains, "", "3 descriptors");
    }
}

TEST(shared_memory_lies_where_it_does_elsewhere)
{
    begin_again();
    int *number = weft_shared_alloc(2 * sizeof *number), *more = number + 1;
    weft_group *group;
    *number = 7;
    *more = 3;
    weft_options options = { .start = WEFT_START_EXEC,
                             .context = more,
                             .context_bytes = WEFT_POINTER };
    EXPECT_EQ(weft_group_open(&group, WEFT_PROCESSES, &options), 0);
    EXPECT_EQ(weft_group_start(group, write_shared, number, WEFT_POINTER), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    EXPECT_EQ(*number, 10);
    weft_group_close(group);
    weft_shared_free(number);
}

TEST(deaths_are_noticed_in_shared_memory)
{
    begin_again();
    int *number = weft_shared_alloc(sizeof *number);
    weft_group *group;
    weft_future *f;
    EXPECT_EQ(weft_group_open(&group, WEFT_PROCESSES, AGAIN), 0);
    EXPECT_EQ(weft_group_submit(group, say_participant, number, WEFT_POINTER, &f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    uint32_t participant = *(const uint32_t *)weft_future_result(f, NULL);
    EXPECT_NE(participant, participant_self);
    EXPECT_TRUE(participant_is_dead(participant));
    weft_future_close(f);
    weft_group_close(group);
    weft_shared_free(number);
}

TEST(locks_events_and_queues_work_between_a_program_and_itself_run_again)
{
    begin_again();
    struct common *common = weft_shared_alloc(sizeof *common);
    EXPECT_EQ(weft_queue_open(&common->to, sizeof(int), 1, WEFT_SHARED), 0);
    EXPECT_EQ(weft_queue_open(&common->from, sizeof(int), 1, WEFT_SHARED), 0);
    weft_group *group;
    EXPECT_EQ(weft_group_open(&group, WEFT_PROCESSES, AGAIN), 0);
    EXPECT_EQ(weft_group_start(group, give_take_and_die, common, WEFT_POINTER), 0);
    int number = 0;
    EXPECT_EQ(weft_queue_get(common->from, &number, WEFT_FOREVER), 0);
    EXPECT_EQ(number++, 17);
    EXPECT_EQ(weft_queue_put(common->to, &number, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_event_wait(&common->taken, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_lock_acquire(&common->lock, WEFT_FOREVER), -EOWNERDEAD);
    EXPECT_EQ(weft_lock_recover(&common->lock), 0);
    EXPECT_EQ(weft_lock_release(&common->lock), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), -ECHILD);
    weft_group_close(group);
    weft_queue_close(common->to);
    weft_queue_close(common->from);
    weft_shared_free(common);
}

TEST(enter_and_leave_are_found_by_their_names)
{
    begin_again();
    int *number = weft_shared_alloc(sizeof *number);
    weft_pool *pool;
    weft_options options = { .start = WEFT_START_EXEC,
                             .workers = 1,
                             .context = number,
                             .enter = enter_shared,
                             .leave = leave_shared,
                             .context_bytes = WEFT_POINTER };
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    EXPECT_EQ(weft_pool_map(pool, add_in_worker, &(weft_map){ .count = 3 }, WEFT_FOREVER), 0);
    weft_pool_close(pool);
    EXPECT_EQ(*number, 131);
    weft_shared_free(number);
}

TEST(functions_without_a_name_are_refused)
{
    weft_group *group;
    weft_pool *pool;
    begin_again();
    EXPECT_EQ(weft_group_open(&group, WEFT_PROCESSES, AGAIN), 0);
    EXPECT_EQ(weft_group_start(group, unregistered, NULL, 0), -EFAULT);
    EXPECT_HAS(weft_strerror(-EFAULT), "not registered");
    weft_group_close(group);
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, AGAIN), 0);
    EXPECT_EQ(weft_pool_submit(pool, unregistered, NULL, 0, NULL, WEFT_FOREVER), -EFAULT);
    weft_pool_close(pool);
    weft_options options = { .start = WEFT_START_EXEC, .leave = free };
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), -EFAULT);
}

TEST(functions_that_the_program_run_again_does_not_register_fail)
{
    begin_again();
    EACH_PLACE (place) {
        expect_failure(place, AGAIN, known_to_the_first_only, -EFAULT, "did not register");
        expect_answer(place, AGAIN, say_changed, "", "fresh"); /* its number is behind that one's */
    }
    weft_options options = { .start = WEFT_START_EXEC, .enter = enter_the_first_only };
    expect_failure(IN_POOL, &options, say_changed, -EFAULT, "did not register");
}

TEST(a_name_is_given_once_and_before_weft_init)
{
    char name[258];
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    EXPECT_EQ(weft_register("function 0", unregistered), -EEXIST);
    EXPECT_EQ(weft_register_worker("function 1", NULL, free), -EEXIST);
    EXPECT_EQ(weft_register(NULL, unregistered), -EINVAL);
    EXPECT_EQ(weft_register("", unregistered), -EINVAL);
    EXPECT_EQ(weft_register(name, unregistered), -EINVAL);
    EXPECT_EQ(weft_register("none", NULL), -EINVAL);
    EXPECT_EQ(weft_register_worker("none", NULL, NULL), -EINVAL);
    name[255] = '\0';
    EXPECT_EQ(weft_register(name, unregistered), 0);
    int rc = 0, n = 0;
    while (rc == 0) {
        snprintf(name, sizeof name, "more %d", n++);
        rc = weft_register(name, unregistered);
    }
    EXPECT_EQ(rc, -EOVERFLOW);
    EXPECT_GT(n, 4000);
    begin();
    EXPECT_EQ(weft_register("late", unregistered), -EBUSY);
}

TEST(processes_that_run_the_program_again_start_others)
{
    begin_again();
    EACH_PLACE (place) {
        expect_answer(place, AGAIN, start_another, "again", "both");
        expect_answer(place, AGAIN, start_another, "zygote", "both");
    }
}

TEST(a_death_costs_one_call_as_ever)
{
    begin_again();
    weft_pool *pool;
    weft_outcome outcomes[3];
    weft_options options = { .start = WEFT_START_EXEC, .workers = 1 };
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &options), 0);
    weft_map map = { .count = 3, .outcomes = outcomes, .on_failure = WEFT_GO_ON };
    EXPECT_EQ(weft_pool_map(pool, die, &map, WEFT_FOREVER), -ECHILD);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(outcomes[i].how, WEFT_CRASHED);
        EXPECT_EQ(outcomes[i].exit_code, 7);
    }
    EXPECT_EQ(weft_pool_map(pool, say_changed, &map, WEFT_FOREVER), 0);
    weft_pool_close(pool);
}

TEST(a_program_that_ends_before_weft_init_is_a_worker_that_died)
{
    begin_again();
    weft_options options = { .start = WEFT_START_EXEC,
                             .environment = (const char *const[]){ "WEFT_TEST_EXIT=9", NULL } };
    weft_future *f = ask(IN_GROUP, &options, say_changed, "");
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_CRASHED);
    EXPECT_EQ(weft_future_outcome(f)->exit_code, 9);
    weft_future_close(f);
    expect_failure(IN_POOL, &options, say_changed, -ECHILD, "exited with code 9");
}

/* ---- shared memory has no place */

static char tries_path[] = "/tmp/weft-test-XXXXXX", place_path[] = "/tmp/weft-test-XXXXXX";

static long run_occupied(const char *times, weft_future **ret)
{
    char occupy[60], about[60], number[40], times_of[40];
    int fd = mkstemp(tries_path), place_fd = mkstemp(place_path);
    snprintf(occupy, sizeof occupy, "WEFT_TEST_OCCUPY=%s", tries_path);
    snprintf(about, sizeof about, "WEFT_TEST_PLACE=%s", place_path);
    snprintf(times_of, sizeof times_of, "WEFT_TEST_TIMES=%s", times);
    snprintf(number, sizeof number, "%p", shared_place().address);
    EXPECT_GT(write(place_fd, number, strlen(number)), 0);
    weft_options options = { .start = WEFT_START_EXEC,
                             .environment =
                                 (const char *const[]){ occupy, about, times_of, NULL } };
    *ret = ask(IN_GROUP, &options, say_changed, "");
    long tries = lseek(fd, 0, SEEK_END);
    close(fd);
    close(place_fd);
    unlink(tries_path);
    unlink(place_path);
    return tries;
}

TEST(the_program_is_run_again_until_shared_memory_has_its_place)
{
    weft_future *f;
    begin_again();
    EXPECT_EQ(run_occupied("3", &f), 4);
    EXPECT_STR((const char *)weft_future_result(f, NULL), "fresh");
    weft_future_close(f);
}

TEST(but_not_for_ever)
{
    weft_future *f;
    begin_again();
    EXPECT_EQ(run_occupied("1000", &f), 16);
    EXPECT_EQ(weft_future_outcome(f)->how, WEFT_FAILED);
    EXPECT_EQ(weft_future_outcome(f)->status, -EEXIST);
    EXPECT_HAS(weft_future_outcome(f)->text, "running the program again: the place of shared mem");
    weft_future_close(f);
}

TEST(a_range_lies_where_it_is_wanted)
{
    if (HARNESS_SANITIZED || HARNESS_EMULATED)
        SKIP("the place is not free there");
    begin_again();
    EXPECT_GE((uintptr_t)shared_place().address, (uintptr_t)48 << 40);
    EXPECT_LT((uintptr_t)shared_place().address, (uintptr_t)64 << 40);
}
