/* SPDX-License-Identifier: MIT */
/*
 * process/init.c: weft_init(), which makes the zygote, and whose the zygote is.
 *
 * A process that has threads must not fork: a lock that another thread holds at that moment stays
 * locked in the child for ever. So weft_init(), called while there is one thread, forks the zygote,
 * and all processes are forked from there (zygote.c).
 *
 * States:  NEVER --weft_init()--> READY --fork() by the user, in the child--> STRANGE
 *
 * READY is inherited by the zygote's children, which may ask for processes too. One that runs the
 * program again (again.c) begins as NEVER, and its weft_init() makes it READY and a process. A
 * strange child shares the sockets of its parent by accident: it closes them and uses none
 * (-ECHILD).
 *
 * A process may make further zygotes, snapshots of itself as it is (zygote_snapshot()), for groups
 * and pools with WEFT_START_FORK: what they fork has that memory. A child's control socket is that
 * of the zygote that forked it. The first zygote is the broker of all: it keeps what they pass each
 * other (tickets.c).
 *
 * The zygote is not a child of the program but, forked by a process in between that ends at once,
 * of init: a program that waits for all its children would otherwise wait for ever, and one that
 * handles SIGCHLD would hear of a child that it did not start.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 32)
#include <sys/single_threaded.h>
#endif

#include <weft/program.h>

#include "base/atomic.h"
#include "base/sanitizer.h"
#include "process/again.h"
#include "process/block.h"
#include "process/descriptors.h"
#include "process/image.h"
#include "process/process.h"
#include "process/shared.h"
#include "process/zygote.h"

/* ThreadSanitizer runs a thread of its own, which copes with fork(). */
enum { RUNTIME_THREADS = THREAD_SANITIZER };

/* How often, and how long after each other, to look for threads that are about to be gone. */
enum { LOOKS = 50, LOOK_NS = 200000 };

enum state { NEVER, READY, STRANGE };

/* Written by weft_init() and after a fork, when there is one thread; read by all. */
static enum state state;
static int control = -1;
static int broker = -1;      /* the first zygote's, which keeps what is passed; often the same */
static int own_channel = -1; /* in a process that the zygote forked */
static pid_t zygote;
static bool forking;       /* by weft itself */
static uint32_t snapshots; /* atomic: zygotes beside the first that this process has made */

static void after_fork_in_child(void)
{
    if (forking || load_relaxed(&state) != READY) /* relaxed: the child has one thread */
        return;
    store_relaxed(&state, STRANGE);
    if (broker != control)
        descriptors_close(broker);
    descriptors_close(control);
    descriptors_close(own_channel);
    control = broker = own_channel = -1;
}

pid_t zygote_fork(void)
{
    forking = true;
    pid_t pid = fork();
    int error = errno;
    forking = false;
    errno = error;
    return pid;
}

void zygote_adopt(int control_fd, int broker_fd, int channel_fd)
{
    control = control_fd;
    broker = broker_fd;
    own_channel = channel_fd;
    store_relaxed(&state, READY); /* relaxed: the child has one thread */
}

int zygote_control(void)
{
    return control;
}

int zygote_broker(void)
{
    return broker;
}

/* How many threads the process has; 1 where /proc is missing. The kernel also counts those of an
 * emulator that the program runs in (QEMU's user mode has one, and copes with fork()), so the C
 * library is asked first. */
static unsigned thread_count(void)
{
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 32)
    if (__libc_single_threaded)
        return 1;
#endif
    struct stat tasks; /* a directory, which has a link per subdirectory and two more */
    if (stat("/proc/self/task", &tasks) < 0 || tasks.st_nlink < 3)
        return 1;
    return (unsigned)tasks.st_nlink - 2;
}

/* The kernel counts a thread for a moment after it has let others join it. */
bool zygote_may_fork(void)
{
    for (int looks = 0; looks < LOOKS; looks++) {
        if (thread_count() <= 1 + RUNTIME_THREADS)
            return true;
        (void)nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
    }
    return false;
}

bool zygote_is_child(void)
{
    return own_channel >= 0;
}

/* The process in between: forks the zygote and ends. */
__attribute__((noreturn)) static void fork_zygote(const struct zygote_home *home)
{
    pid_t pid = zygote_fork();
    if (pid == 0)
        zygote_run(home);
    _exit(pid < 0 ? errno : 0);
}

int zygote_reap(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 0; /* a handler of the program's own reaped it; the zygote's greeting will tell
                       */
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -EAGAIN;
}

/* Forks, and waits until the zygote has set itself up and says its id. */
static int start_zygote(struct zygote_home *home, int socket, pid_t *ret_id)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &home->signals); /* no handler may run in the zygote */
    pid_t between = zygote_fork();
    int rc = between < 0 ? -errno : 0;
    if (between == 0)
        fork_zygote(home);
    pthread_sigmask(SIG_SETMASK, &home->signals, NULL);
    close(home->socket); /* so that the end of the zygote is the end of the socket */
    home->socket = -1;
    if (rc == 0)
        rc = zygote_reap(between);
    ssize_t n = 0;
    while (rc == 0 && (n = recv(socket, ret_id, sizeof *ret_id, 0)) < 0)
        rc = errno == EINTR ? 0 : -EAGAIN;
    return rc == 0 && n != (ssize_t)sizeof *ret_id ? -EAGAIN : rc;
}

/* Makes a zygote of this process as it is. Returns our end of its control socket; or -errno. */
static int open_zygote(pid_t *ret_id)
{
    int ends[2], on = 1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    int socket = descriptors_raise(ends[0]);
    struct zygote_home home = { .program = getpid() };
    home.socket = descriptors_raise(ends[1]);
    home.program_fd = descriptors_of_process(home.program);
    int rc = socket < 0 ? socket : home.socket < 0 ? home.socket : home.program_fd;
    if (rc >= 0 && setsockopt(home.socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0)
        rc = -errno;
    if (rc >= 0)
        rc = start_zygote(&home, socket, ret_id);
    descriptors_close(home.program_fd);
    descriptors_close(home.socket);
    if (rc < 0)
        descriptors_close(socket);
    return rc < 0 ? rc : socket;
}

static int watch_forks(void)
{
    static bool watched;
    if (!watched && pthread_atfork(NULL, NULL, after_fork_in_child) != 0)
        return -ENOMEM;
    watched = true;
    return 0;
}

int weft_init(void)
{
    if (load_acquire(&state) != NEVER) /* acquire: pairs with the release below */
        return zygote_is_strange() ? -ECHILD : 0;
    if (watch_forks() < 0)
        return -ENOMEM;
    again_resume();
    if (!zygote_may_fork())
        return -EBUSY;
    fflush(NULL); /* or each child would print it again */
    int rc = image_note();
    if (rc == 0)
        rc = shared_open();
    if (rc < 0)
        return rc;
    control = broker = open_zygote(&zygote);
    if (control < 0) {
        rc = control;
        control = broker = -1;
        shared_close();
        return rc;
    }
    store_release(&state, READY); /* release: publishes control and zygote to threads to come */
    return 0;
}

int zygote_snapshot(void)
{
    pid_t id;
    if (!zygote_may_fork())
        return -EBUSY;
    fflush(NULL);
    int rc = open_zygote(&id);
    if (rc >= 0)
        add_relaxed(&snapshots, 1); /* relaxed: read while there is one thread */
    return rc;
}

void zygote_release(int snapshot)
{
    char end;
    int fd;
    bool truncated;
    if (!zygote_is_strange()) {
        shutdown(snapshot, SHUT_WR); /* it ends, and its end of the socket with it */
        (void)block_receive(snapshot, &end, 1, &fd, &truncated);
        sub_relaxed(&snapshots, 1); /* relaxed: as above */
    }
    close(snapshot);
}

bool zygote_has_snapshots(void)
{
    return load_relaxed(&snapshots); /* relaxed: the process has one thread */
}

bool process_available(void)
{
    return load_acquire(&state) == READY; /* acquire: pairs with the release in weft_init() */
}

bool zygote_is_strange(void)
{
    return load_relaxed(&state) == STRANGE; /* relaxed: set while there was one thread */
}

pid_t zygote_id(void)
{
    return zygote;
}

bool zygote_alive(int control_fd)
{
    struct pollfd end = { .fd = control_fd };
    return poll(&end, 1, 0) == 0;
}
