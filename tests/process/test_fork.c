/* SPDX-License-Identifier: MIT */
/* Processes that are forks of the program as it is when their group or pool is opened. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/poll.h>

#include "asking.h"

#define FORKED (&(weft_options){ .start = WEFT_START_FORK })

static int value; /* 0 at weft_init() */

static int say_value(weft_call *call)
{
    char text[20];
    snprintf(text, sizeof text, "%d", value);
    return answer(call, text);
}

static void needs_forks(void)
{
    if (FOREIGN_THREADS)
        SKIP("threads that are not the program's look like it");
}

static void begin_with(int later)
{
    needs_forks();
    begin();
    value = later;
}

static weft_group *open_forks(void)
{
    weft_group *group;
    EXPECT_EQ(weft_group_open(&group, WEFT_PROCESSES, FORKED), 0);
    return group;
}

static void expect_from(weft_group *group, weft_fn *fn, const char *text)
{
    weft_future *f;
    EXPECT_EQ(weft_group_submit(group, fn, "", 1, &f, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), 0);
    EXPECT_STR((const char *)weft_future_result(f, NULL), text);
    weft_future_close(f);
}

TEST(a_fork_has_the_memory_of_the_moment_of_opening)
{
    begin_with(5);
    EACH_PLACE (place) {
        expect_answer(place, &(weft_options){ 0 }, say_value, "", "0");
        expect_answer(place, FORKED, say_value, "", "5");
    }
    weft_group *group = open_forks();
    value = 6;
    for (int i = 0; i < 3; i++)
        expect_from(group, say_value, "5");
    weft_group_close(group);
}

TEST(several_moments_may_be_kept)
{
    enum { N = 4 };
    weft_group *groups[N];
    char text[20];
    begin_with(0);
    for (value = 0; value < N; value++)
        groups[value] = open_forks();
    for (int i = N - 1; i >= 0; i--) {
        snprintf(text, sizeof text, "%d", i);
        expect_from(groups[i], say_value, text);
    }
    for (int i = 0; i < N; i++)
        weft_group_close(groups[i]);
}

TEST(a_program_with_threads_is_not_forked)
{
    weft_pool *pool, *another;
    weft_group *group;
    begin_with(0);
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, FORKED), 0); /* its workers are threads here */
    EXPECT_EQ(weft_pool_open(&another, WEFT_PROCESSES, FORKED), -EBUSY);
    EXPECT_EQ(weft_group_open(&group, WEFT_PROCESSES, FORKED), -EBUSY);
    weft_pool_close(pool);
    weft_group_close(open_forks());
}

/* Loads some library that is not loaded yet, and gives a function in it; NULL: there is none. */
static void *load_code(void)
{
    static const char *const libraries[][2] = { { "libresolv.so.2", "ns_initparse" },
                                                { "libz.so.1", "zlibVersion" },
                                                { "libcurl.so.4", "curl_version" } };
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        void *library = dlopen(libraries[i][0], RTLD_NOW);
        void *found = library ? dlsym(library, libraries[i][1]) : NULL;
        if (found && !process_sees_code(found))
            return found;
    }
    return NULL;
}

static void *code;

static int say_seen(weft_call *call)
{
    return answer(call, process_sees_code(code) ? "seen" : "not seen");
}

TEST(code_loaded_after_weft_init_is_seen)
{
    struct process_origin *origin;
    begin_with(0);
    code = load_code();
    if (!code)
        SKIP("no library to load");
    EACH_PLACE (place)
        expect_answer(place, FORKED, say_seen, "", "seen"); /* and by those that it starts */
    EXPECT_FALSE(process_origin_sees_code(NULL, code));
    EXPECT_EQ(process_origin_open(&origin, FORKED), 0);
    EXPECT_TRUE(process_origin_sees_code(origin, code));
    EXPECT_FALSE(process_origin_sees_code(origin, &origin));
    process_origin_close(origin);
}

/* ---- what processes start */

static int start_another(weft_call *call)
{
    weft_options options = { .start = (weft_start)atoi(call->arg) };
    const char *expected = options.start == WEFT_START_EXEC ? "0" : value ? "8" : "0";
    if (options.start == WEFT_START_FORK)
        value = 8; /* now, not when the program was forked */
    if (options.start == WEFT_START_FORK)
        expected = "8";
    EACH_PLACE (place)
        expect_answer(place, &options, say_value, "", expected);
    return answer(call, "as expected");
}

TEST(processes_of_each_sort_start_others_of_each)
{
    begin_with(8);
    for (int outer = WEFT_START_ZYGOTE; outer <= WEFT_START_FORK; outer++)
        for (int inner = WEFT_START_ZYGOTE; inner <= WEFT_START_FORK; inner++) {
            char number[4];
            snprintf(number, sizeof number, "%d", inner);
            EACH_PLACE (place)
                expect_answer(place, &(weft_options){ .start = (weft_start)outer }, start_another,
                              number, "as expected");
        }
}

REGISTER(say_value, start_another)

/* ---- deaths */

static pid_t *ids; /* in shared memory: the process, its zygote */

static int say_ids_and_wait(weft_call *call)
{
    pid_t *ret = call->pointer;
    ret[1] = getppid();
    __atomic_store_n(&ret[0], getpid(), __ATOMIC_RELEASE);
    return sleep_for_ever(call);
}

static weft_future *start_waiting(weft_group *group)
{
    weft_future *f;
    ids = weft_shared_alloc(2 * sizeof *ids);
    EXPECT_EQ(weft_group_submit(group, say_ids_and_wait, ids, WEFT_POINTER, &f, WEFT_FOREVER), 0);
    while (!__atomic_load_n(&ids[0], __ATOMIC_ACQUIRE))
        (void)weft_yield();
    return f;
}

TEST(closing_ends_the_zygote_too)
{
    begin_with(0);
    weft_group *group = open_forks();
    weft_future *f = start_waiting(group);
    EXPECT_NE(ids[1], zygote_id());
    int process = descriptors_of_process(ids[0]), zygote = descriptors_of_process(ids[1]);
    weft_group_close(group);
    await_end(process);
    await_end(zygote);
    weft_future_close(f);
    worker_close(open_worker());
    weft_shared_free(ids);
}

TEST(a_death_of_its_zygote_is_told_and_is_no_others)
{
    weft_outcome outcome;
    begin_with(0);
    weft_group *group = open_forks();
    weft_future *f = start_waiting(group);
    EXPECT_EQ(kill(ids[1], SIGKILL), 0);
    EXPECT_EQ(weft_future_wait(f, WEFT_FOREVER), -ECHILD);
    outcome = *weft_future_outcome(f);
    EXPECT_EQ(outcome.how, WEFT_CRASHED);
    EXPECT_EQ(outcome.signal, SIGKILL);
    weft_future_close(f);
    weft_group_close(group);
    expect_answer(IN_GROUP, &(weft_options){ 0 }, say_value, "", "0");
    weft_shared_free(ids);
}

TEST(starting_after_a_death_of_its_zygote_says_so)
{
    begin_with(0);
    weft_group *group;
    EXPECT_EQ(
        weft_group_open(&group, WEFT_PROCESSES,
                        &(weft_options){ .start = WEFT_START_FORK, .on_failure = WEFT_GO_ON }),
        0);
    weft_future *f = start_waiting(group);
    int zygote = descriptors_of_process(ids[1]);
    EXPECT_EQ(kill(ids[1], SIGKILL), 0);
    await_end(zygote);
    EXPECT_EQ(weft_group_start(group, say_value, NULL, 0), -EPIPE);
    weft_group_close(group);
    weft_future_close(f);
    weft_shared_free(ids);
}

static int crash(weft_call *call)
{
    (void)call;
    _exit(4);
}

TEST(a_death_costs_one_call)
{
    weft_pool *pool;
    weft_outcome outcomes[2];
    begin_with(9);
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES,
                             &(weft_options){ .start = WEFT_START_FORK, .workers = 1 }),
              0);
    weft_map map = { .count = 2, .outcomes = outcomes, .on_failure = WEFT_GO_ON };
    EXPECT_EQ(weft_pool_map(pool, crash, &map, WEFT_FOREVER), -ECHILD);
    EXPECT_EQ(outcomes[0].exit_code, 4);
    EXPECT_EQ(outcomes[1].exit_code, 4);
    EXPECT_EQ(weft_pool_map(pool, say_value, &map, WEFT_FOREVER), 0);
    weft_pool_close(pool);
}

static void program_with_forks(int fd)
{
    EXPECT_EQ(weft_init(), 0);
    weft_group *group = open_forks();
    (void)start_waiting(group);
    EXPECT_EQ(write(fd, ids, 2 * sizeof *ids), 2 * sizeof *ids);
    sleep_for_ever(NULL);
}

TEST(all_die_with_the_program)
{
    int ends[2];
    pid_t read_ids[2];
    needs_forks();
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    pid_t program = run_program(program_with_forks, ends[1]);
    close(ends[1]);
    EXPECT_EQ(read(ends[0], read_ids, sizeof read_ids), sizeof read_ids);
    int process = descriptors_of_process(read_ids[0]), zygote = descriptors_of_process(read_ids[1]);
    EXPECT_EQ(kill(program, SIGKILL), 0);
    await_end(process);
    await_end(zygote);
    EXPECT_EQ(waitpid(program, NULL, 0), program);
    close(ends[0]);
}

/* ---- descriptors */

static int pass_and_crash(weft_call *call)
{
    if (weft_fd_pass(0, call->pointer) < 0)
        return -ECHILD;
    kill(getpid(), SIGKILL);
    return 0;
}

TEST(tickets_of_a_fork_that_crashes_are_void)
{
    int fd;
    begin_with(0);
    uint64_t *ticket = weft_shared_alloc(sizeof *ticket);
    for (int i = 0; i < 5; i++) {
        weft_group *group = open_forks();
        EXPECT_EQ(weft_group_start(group, pass_and_crash, ticket, WEFT_POINTER), 0);
        EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), -ECHILD);
        EXPECT_NE(*ticket, 0);
        EXPECT_EQ(weft_fd_take(*ticket, &fd), -ENOENT);
        weft_group_close(group);
    }
    weft_shared_free(ticket);
}

/* ---- others */

static weft_group *inherited;

static void close_in_fork(int fd)
{
    (void)fd;
    weft_group_close(inherited);
}

TEST(a_fork_of_the_users_own_leaves_the_zygote_alone)
{
    begin_with(3);
    inherited = open_forks();
    expect_success(run_program(close_in_fork, -1));
    expect_from(inherited, say_value, "3");
    weft_group_close(inherited);
}

TEST(a_daemon_takes_no_snapshot_along)
{
    begin_with(0);
    weft_group *group = open_forks();
    EXPECT_EQ(weft_daemonize(), -EBUSY);
    weft_group_close(group);
}

static int say_user(weft_call *call)
{
    char text[40];
    snprintf(text, sizeof text, "%d %d", (int)getuid(), (int)geteuid());
    return answer(call, text);
}

TEST(a_fork_has_the_user_of_the_moment)
{
    if (getuid() != 0)
        SKIP("only root can become somebody else");
    begin_with(0);
    EXPECT_EQ(setresuid(65534, 65534, 65534), 0);
    EACH_PLACE (place)
        expect_answer(place, FORKED, say_user, "", "65534 65534");
}

static void program_that_prints(int fd)
{
    dup2(fd, STDOUT_FILENO);
    EXPECT_EQ(weft_init(), 0);
    printf("once;"); /* stays in the buffer: it is not a terminal */
    weft_group *group = open_forks();
    for (int i = 0; i < 2; i++)
        expect_from(group, say_value, "0");
    weft_group_close(group);
    fflush(stdout);
}

TEST(what_was_printed_before_is_neither_lost_nor_doubled)
{
    needs_forks();
    expect_printed(program_that_prints, "once;");
}
