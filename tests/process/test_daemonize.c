/* SPDX-License-Identifier: MIT */
/* weft_daemonize(): the program goes on as another process, with its zygote and all that it has. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common.h"

/* What a daemon finds, of itself and from a process that it starts. */
struct report {
    pid_t pid, parent, session, process, zygote;
    int exit_code;
    char directory[16], streams[3][16], process_directory[16], process_stream[16];
    long old_process, number;
};

static int say_stream(weft_call *call)
{
    char target[16] = "";
    if (readlink("/proc/self/fd/1", target, sizeof target - 1) < 0)
        return -errno;
    return weft_call_return(call, target, sizeof target);
}

static int say_directory(weft_call *call)
{
    char path[16] = "";
    if (!getcwd(path, sizeof path))
        return -errno;
    return weft_call_return(call, path, sizeof path);
}

static void describe_itself(struct report *report)
{
    report->pid = getpid();
    report->parent = getppid();
    report->session = getsid(0);
    report->zygote = zygote_id();
    EXPECT_TRUE(getcwd(report->directory, sizeof report->directory));
    for (int fd = 0; fd < 3; fd++) {
        char path[40];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        EXPECT_GT(readlink(path, report->streams[fd], sizeof report->streams[fd] - 1), 0);
    }
}

static void describe_process(struct report *report)
{
    struct worker *process = open_worker();
    report->process = (pid_t)run_number(process, get_pid);
    run_value(process, say_directory, NULL, 0, report->process_directory,
              sizeof report->process_directory);
    run_value(process, say_stream, NULL, 0, report->process_stream, sizeof report->process_stream);
    worker_close(process);
}

/* A program whose memory has a number in it, that becomes a daemon and says what it finds. */
static void program_with_processes(int fd)
{
    struct report report = { .number = 42 };
    EXPECT_EQ(weft_init(), 0);
    struct worker *old = open_worker();
    uint64_t ticket;
    pid_t before = getpid();
    EXPECT_EQ(weft_fd_pass(0, &ticket), 0);
    EXPECT_EQ(weft_daemonize(), 0);
    EXPECT_NE(getpid(), before);
    describe_itself(&report);
    describe_process(&report);
    report.old_process = run_number(old, get_pid) == worker_id(old);
    int taken;
    EXPECT_EQ(weft_fd_take(ticket, &taken), 0);
    EXPECT_EQ(write(fd, &report, sizeof report), sizeof report);
    sleep_for_ever(NULL);
}

static void program_that_starts_late(int fd)
{
    struct report report = { .number = 42 };
    EXPECT_EQ(weft_daemonize(), 0);
    EXPECT_EQ(weft_init(), 0);
    describe_itself(&report);
    describe_process(&report);
    report.old_process = 1; /* there is none */
    EXPECT_EQ(write(fd, &report, sizeof report), sizeof report);
    sleep_for_ever(NULL);
}

/* Twice in a row: nothing of the first time is in the way. */
static void program_that_does_it_twice(int fd)
{
    EXPECT_EQ(weft_init(), 0);
    EXPECT_EQ(weft_daemonize(), 0);
    program_with_processes(fd);
}

static struct report daemonize(void (*program)(int))
{
    int ends[2];
    struct report report;
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    fflush(stdout);
    pid_t pid = run_program(program, ends[1]);
    close(ends[1]);
    expect_success(pid); /* it has ended, although the daemon goes on */
    EXPECT_EQ(read(ends[0], &report, sizeof report), sizeof report);
    close(ends[0]);
    EXPECT_NE(report.pid, pid);
    return report;
}

static void expect_daemon(const struct report *report)
{
    EXPECT_NE(report->parent, getpid());
    EXPECT_NE(report->session, getsid(0));
    EXPECT_NE(report->session, report->pid);
    EXPECT_STR(report->directory, "/");
    for (int fd = 0; fd < 3; fd++)
        EXPECT_STR(report->streams[fd], "/dev/null");
    EXPECT_STR(report->process_directory, "/");
    EXPECT_STR(report->process_stream, "/dev/null");
    EXPECT_GT(report->process, 0);
    EXPECT_EQ(report->number, 42);
    EXPECT_EQ(report->old_process, 1);
}

/* Kills it, and waits for its zygote, which ends with it. */
static void end_daemon(const struct report *report)
{
    int zygote = descriptors_of_process(report->zygote),
        pidfd = descriptors_of_process(report->pid);
    EXPECT_GE(zygote, 0);
    EXPECT_EQ(kill(report->pid, SIGKILL), 0);
    await_end(pidfd);
    await_end(zygote);
}

TEST(a_daemon_goes_on_with_zygote_and_processes)
{
    struct report report = daemonize(program_with_processes);
    expect_daemon(&report);
    end_daemon(&report);
}

TEST(a_daemon_may_call_weft_init_later)
{
    struct report report = daemonize(program_that_starts_late);
    expect_daemon(&report);
    end_daemon(&report);
}

TEST(a_daemon_may_become_one_again)
{
    struct report report = daemonize(program_that_does_it_twice);
    expect_daemon(&report);
    end_daemon(&report);
}

static void program_that_prints(int fd)
{
    dup2(fd, STDOUT_FILENO);
    printf("once;"); /* stays in the buffer: it is not a terminal */
    EXPECT_EQ(weft_daemonize(), 0);
    printf("to nobody;");
    fflush(stdout);
}

TEST(what_was_printed_before_is_neither_lost_nor_doubled)
{
    expect_printed(program_that_prints, "once;");
}

/* ---- it fails: the program is what it was */

static void expect_busy(void)
{
    EXPECT_EQ(weft_daemonize(), -EBUSY);
}

TEST(a_program_with_threads_does_not_become_a_daemon)
{
    begin();
    check_beside_a_thread(expect_busy);
}

static void call_in_fork(int fd)
{
    (void)fd;
    EXPECT_EQ(weft_daemonize(), -ECHILD);
}

static int call_in_process(weft_call *call)
{
    return give_number(call, weft_daemonize());
}

TEST(only_the_program_becomes_a_daemon)
{
    begin();
    expect_success(run_program(call_in_fork, -1));
    struct worker *process = open_worker();
    EXPECT_EQ(run_number(process, call_in_process), -EPERM);
    worker_close(process);
}

/* No process is left behind: a program that waits for its children has none. */
static void expect_no_child(void)
{
    EXPECT_EQ(waitpid(-1, NULL, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

TEST(without_its_zygote_the_program_stays)
{
    begin();
    pid_t before = getpid();
    int pidfd = descriptors_of_process(zygote_id());
    EXPECT_EQ(kill(zygote_id(), SIGKILL), 0);
    await_end(pidfd);
    EXPECT_EQ(weft_daemonize(), -EPIPE);
    EXPECT_EQ(getpid(), before);
    expect_no_child();
}

TEST(without_descriptors_the_program_stays)
{
    struct rlimit limit;
    begin();
    pid_t before = getpid();
    struct worker *process = open_worker();
    int lowest = dup(0);
    close(lowest);
    getrlimit(RLIMIT_NOFILE, &limit);
    for (int more = 0; more < 3; more++) { /* it needs three at a time, and then a fourth */
        struct rlimit few = { (rlim_t)(lowest + more), limit.rlim_max };
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
        EXPECT_EQ(weft_daemonize(), -EMFILE);
        EXPECT_EQ(getpid(), before);
        expect_no_child();
    }
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(run_number(process, get_pid), worker_id(process));
    worker_close(process);
}

TEST(a_program_that_has_changed_its_user_stays)
{
    if (getuid() != 0)
        SKIP("only root can become somebody else");
    begin();
    pid_t before = getpid();
    EXPECT_EQ(setresuid(65534, 65534, 65534), 0);
    EXPECT_EQ(weft_daemonize(), -EPERM);
    EXPECT_EQ(getpid(), before);
    expect_no_child();
}

/* ---- the terminal */

/* A program with a terminal of its own, of which the zygote and its processes know nothing after.
 */
static int open_terminal(weft_call *call)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    int error = fd < 0 ? errno : 0;
    descriptors_close(fd);
    return give_number(call, error);
}

static void program_with_terminal(int fd)
{
    long errors[2];
    EXPECT_GE(setsid(), 0);
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    EXPECT_EQ(grantpt(master), 0);
    EXPECT_EQ(unlockpt(master), 0);
    EXPECT_GE(open(ptsname(master), O_RDWR | O_CLOEXEC), 0); /* which makes it the terminal */
    signal(SIGHUP, SIG_IGN);                                 /* the leader of its session ends */
    EXPECT_EQ(weft_init(), 0);
    struct worker *process = open_worker();
    errors[0] = run_number(process, open_terminal);
    worker_close(process);
    EXPECT_EQ(weft_daemonize(), 0);
    process = open_worker();
    errors[1] = run_number(process, open_terminal);
    worker_close(process);
    EXPECT_EQ(write(fd, errors, sizeof errors), sizeof errors);
}

TEST(a_daemons_processes_have_no_terminal)
{
    int ends[2];
    long errors[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    pid_t program = run_program(program_with_terminal, ends[1]);
    close(ends[1]);
    expect_success(program);
    EXPECT_EQ(read(ends[0], errors, sizeof errors), sizeof errors);
    EXPECT_EQ(errors[0], 0);
    EXPECT_EQ(errors[1], ENXIO);
    close(ends[0]);
}
