/* SPDX-License-Identifier: MIT */
/* weft_init() and the zygote: who may call it, who dies with whom, what signals do. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>

#include "common.h"

TEST(init_may_be_called_twice)
{
    EXPECT_EQ(zygote_id(), 0);
    begin();
    pid_t zygote = zygote_id();
    EXPECT_GT(zygote, 0);
    EXPECT_EQ(weft_init(), 0);
    EXPECT_EQ(zygote_id(), zygote);
}

static void expect_busy(void)
{
    EXPECT_EQ(weft_init(), -EBUSY);
    EXPECT_FALSE(process_available());
}

TEST(init_refuses_a_process_with_threads)
{
    check_beside_a_thread(expect_busy);
}

static void call_in_fork(int fd)
{
    (void)fd;
    struct process *process;
    EXPECT_EQ(weft_init(), -ECHILD);
    EXPECT_FALSE(process_available());
    EXPECT_EQ(process_open(&process, &(struct process_options){ 0 }), -ECHILD);
}

TEST(init_refuses_a_fork_of_the_users_own)
{
    begin();
    expect_success(run_program(call_in_fork, -1));
    worker_close(open_worker()); /* the program itself goes on */
}

static struct worker *inherited;

static void close_in_fork(int fd)
{
    (void)fd;
    process_signal(inherited->process, SIGKILL);
    EXPECT_EQ(process_look(inherited->process, &inherited->refusal, &inherited->end),
              PROCESS_ENDED);
    process_close(inherited->process);
}

TEST(a_fork_of_the_users_own_leaves_processes_alone)
{
    begin();
    inherited = open_worker();
    start(inherited, get_pid, NULL, 0);
    expect_success(run_program(close_in_fork, -1));
    EXPECT_TRUE(is_done(inherited));
    free(take_result(inherited).result);
    EXPECT_EQ(run_number(inherited, get_pid), worker_id(inherited)); /* neither killed nor ended */
    worker_close(inherited);
}

static int fork_inside(weft_call *call)
{
    expect_success(run_program(call_in_fork, -1));
    return give_number(call, 0);
}

TEST(a_process_may_fork_children_of_its_own)
{
    begin();
    struct worker *process = open_worker();
    EXPECT_EQ(run_number(process, fork_inside), 0);
    worker_close(process);
}

/* ---- deaths */

static int start_one_more(weft_call *call)
{
    struct worker *process = open_worker();
    start(process, sleep_for_ever, NULL, 0);
    return give_number(call, worker_id(process));
}

/* A program with processes that are idle, busy and started by one of them; says their ids. */
static void program_with_processes(int fd)
{
    signal(SIGTERM, SIG_DFL); /* without the test runner's handlers */
    signal(SIGINT, SIG_DFL);
    EXPECT_EQ(weft_init(), 0);
    struct worker *idle = open_worker(), *busy = open_worker();
    start(busy, sleep_for_ever, NULL, 0);
    pid_t ids[4] = { zygote_id(), worker_id(idle), worker_id(busy), 0 };
    ids[3] = (pid_t)run_number(idle, start_one_more);
    EXPECT_EQ(write(fd, ids, sizeof ids), sizeof ids);
    sleep_for_ever(NULL);
}

/* Starts that program and gives pidfds of its processes. */
static pid_t start_program(int pidfds[4])
{
    int ends[2];
    pid_t ids[4];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    pid_t program = run_program(program_with_processes, ends[1]);
    close(ends[1]);
    EXPECT_EQ(read(ends[0], ids, sizeof ids), sizeof ids);
    close(ends[0]);
    for (int i = 0; i < 4; i++) {
        pidfds[i] = descriptors_of_process(ids[i]);
        EXPECT_GE(pidfds[i], 0);
    }
    return program;
}

TEST(all_die_with_the_program)
{
    static const int signals[] = { SIGKILL, SIGTERM, SIGINT };
    for (size_t s = 0; s < sizeof signals / sizeof *signals; s++) {
        int pidfds[4];
        pid_t program = start_program(pidfds);
        EXPECT_EQ(kill(program, signals[s]), 0);
        for (int i = 0; i < 4; i++)
            await_end(pidfds[i]);
        EXPECT_EQ(waitpid(program, NULL, 0), program);
    }
}

static void exec_another(int fd)
{
    EXPECT_EQ(weft_init(), 0);
    struct worker *idle = open_worker(), *busy = open_worker();
    start(busy, sleep_for_ever, NULL, 0);
    pid_t ids[3] = { zygote_id(), worker_id(idle), worker_id(busy) };
    EXPECT_EQ(write(fd, ids, sizeof ids), sizeof ids);
    execlp("sleep", "sleep", "1000", NULL);
}

TEST(all_die_when_the_program_becomes_another)
{
    int ends[2];
    pid_t ids[3];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    pid_t program = run_program(exec_another, ends[1]);
    close(ends[1]);
    EXPECT_EQ(read(ends[0], ids, sizeof ids), sizeof ids);
    for (int i = 0; i < 3; i++) {
        int pidfd = descriptors_of_process(ids[i]);
        EXPECT_TRUE(pidfd >= 0 || pidfd == -ESRCH); /* gone already */
        if (pidfd >= 0)
            await_end(pidfd);
    }
    EXPECT_EQ(kill(program, SIGKILL), 0);
    EXPECT_EQ(waitpid(program, NULL, 0), program);
    close(ends[0]);
}

/* Starts a process that sleeps in a call, says its id, and becomes another program. */
static int become_another(weft_call *call)
{
    struct worker *busy = open_worker();
    start(busy, sleep_for_ever, NULL, 0);
    store_release((pid_t *)call->pointer, worker_id(busy)); /* release: with the test */
    execlp("sleep", "sleep", "1000", NULL);
    return -errno;
}

TEST(what_a_process_has_started_dies_when_it_becomes_another)
{
    begin();
    pid_t *id = weft_shared_alloc(sizeof *id);
    struct worker *process = open_worker();
    start_call(process, become_another, &(weft_call){ .pointer = id });
    while (!load_acquire(id)) /* acquire: with become_another() */
        sched_yield();
    int pidfd = descriptors_of_process(*id);
    EXPECT_TRUE(pidfd >= 0 || pidfd == -ESRCH); /* gone already */
    if (pidfd >= 0)
        await_end(pidfd);
    worker_close(process);
    weft_shared_free(id);
}

TEST(all_die_with_the_zygote)
{
    begin();
    struct worker *idle = open_worker(), *busy = open_worker();
    int pidfds[3] = { descriptors_of_process(zygote_id()), descriptors_of_process(worker_id(idle)),
                      descriptors_of_process(worker_id(busy)) };
    start(busy, sleep_for_ever, NULL, 0);
    EXPECT_EQ(kill(zygote_id(), SIGKILL), 0);
    EXPECT_FALSE(is_done(busy));
    EXPECT_EQ(busy->end.signal, SIGKILL);
    EXPECT_EQ(worker_end(idle).signal, SIGKILL);
    for (int i = 0; i < 3; i++)
        await_end(pidfds[i]);
    struct process *another;
    EXPECT_EQ(process_open(&another, &(struct process_options){ 0 }), -EPIPE);
    EXPECT_EQ(weft_init(), 0);
    worker_close(idle);
    worker_close(busy);
}

/* ---- signals */

static void count_signal(int signo)
{
    (void)signo;
}

TEST(signals_to_the_group_leave_processes_alive)
{
    EXPECT_EQ(setpgid(0, 0), 0);
    signal(SIGINT, count_signal);
    signal(SIGTERM, count_signal);
    begin();
    struct worker *process = open_worker();
    EXPECT_EQ(kill(-getpgrp(), SIGINT), 0); /* as the terminal does */
    EXPECT_EQ(kill(-getpgrp(), SIGTERM), 0);
    EXPECT_EQ(kill(worker_id(process), SIGINT), 0); /* as somebody may do who signals everybody */
    EXPECT_EQ(kill(zygote_id(), SIGINT), 0);
    EXPECT_EQ(kill(zygote_id(), SIGTERM), 0);
    EXPECT_EQ(kill(zygote_id(), SIGHUP), 0);
    EXPECT_EQ(run_number(process, get_pid), worker_id(process));
    worker_close(process);
    worker_close(open_worker());
}

/* Starting a process, in every way that there is. */
static void expect_all_starts(int error)
{
    struct worker *process;
    weft_group *group;
    weft_pool *pool;
    weft_outcome outcome;
    EXPECT_EQ(worker_start(&process, NULL), error);
    if (error == 0)
        worker_close(process);
    EXPECT_EQ(weft_group_open(&group, WEFT_PROCESSES, NULL), 0);
    EXPECT_EQ(weft_group_start(group, get_pid, NULL, 0), error);
    weft_group_close(group);
    EXPECT_EQ(weft_pool_open(&pool, WEFT_PROCESSES, &(weft_options){ .workers = 1 }), 0);
    EXPECT_EQ(
        weft_pool_map(pool, get_pid, &(weft_map){ .count = 1, .outcomes = &outcome }, WEFT_FOREVER),
        error ? -ECHILD : 0);
    EXPECT_EQ(outcome.status, error);
    weft_pool_close(pool);
}

TEST(a_change_of_user_is_refused)
{
    if (getuid() != 0)
        SKIP("only root can become somebody else");
    begin();
    EXPECT_EQ(setegid(65534), 0);
    expect_all_starts(-EPERM);
    EXPECT_EQ(setegid(0), 0);
    EXPECT_EQ(seteuid(65534), 0);
    expect_all_starts(-EPERM);
    EXPECT_EQ(seteuid(0), 0);
    expect_all_starts(0);
    EXPECT_EQ(setresgid(65534, 65534, 65534), 0);
    expect_all_starts(-EPERM);
    EXPECT_EQ(setresuid(65534, 65534, 65534), 0);
    expect_all_starts(-EPERM);
}

/* ---- output */

static int print_line(weft_call *call)
{
    printf("call %s;", (const char *)call->arg);
    return 0;
}

static int print_and_exit(weft_call *call)
{
    print_line(call);
    exit(4);
}

static void say_exit(void)
{
    printf("atexit;");
}

static void leave_printing(void *worker)
{
    (void)worker;
    printf("leave;");
}

static void program_that_prints(int fd)
{
    struct worker *process;
    dup2(fd, STDOUT_FILENO);
    atexit(say_exit);
    printf("before;"); /* stays in the buffer: it is not a terminal */
    EXPECT_EQ(weft_init(), 0);
    struct process_options options = { .leave = leave_printing };
    for (int i = 0; i < 2; i++) {
        process = open_worker_with(&options);
        EXPECT_EQ(run_plain(process, print_line, "1", 2), 0);
        EXPECT_EQ(run_plain(process, print_line, "2", 2), 0);
        worker_quit(process);
        EXPECT_EQ(worker_end(process).exit_code, 0);
        worker_close(process);
    }
    process = open_worker();
    start(process, print_and_exit, "3", 2);
    EXPECT_EQ(worker_end(process).exit_code, 4);
    worker_close(process);
    printf("after;");
    exit(0);
}

TEST(output_is_neither_lost_nor_doubled)
{
    expect_printed(program_that_prints,
                   "before;call 1;call 2;leave;call 1;call 2;leave;call 3;atexit;after;atexit;");
}
