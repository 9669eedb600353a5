/* SPDX-License-Identifier: MIT */
/*
 * io/child_spawn.c: starting another program.
 *
 * posix_spawn() does it without copying the program's memory, and its child runs nothing of ours,
 * so neither locks that other threads hold nor their number matter. It reports a failed exec to the
 * caller, as the error of the start.
 *
 * Every descriptor made here is close-on-exec and above 2, whatever the caller has closed: so the
 * child can put them in their places in any order without overwriting one that is still needed, and
 * the copies there, which stay open, are the only ones that another start at the same time could
 * not have inherited.
 *
 * Our end of a pipe is non-blocking, theirs is not: they are two open files, so the program does
 * not notice.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <weft/self.h>

#include "io/child_spawn.h"

void spawn_close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* The same open file by a number above 2. Takes fd, also on failure. */
static int raise_fd(int fd)
{
    if (fd < 0 || fd > 2)
        return fd;
    int raised = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int error = errno == EINVAL ? EMFILE : errno; /* EINVAL: the limit is 3 or less */
    close(fd);
    return raised < 0 ? -error : raised;
}

/* ---- the descriptors */

static int open_pipe(struct spawn *spawn, int which)
{
    int ends[2], write_end = which == 0 ? 0 : 1; /* 0: it reads, we write */
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    int ours = raise_fd(ends[!write_end]), theirs = raise_fd(ends[write_end]);
    spawn->ours[which] = ours < 0 ? -1 : ours;
    spawn->theirs[which] = theirs < 0 ? -1 : theirs;
    if (ours < 0 || theirs < 0)
        return ours < 0 ? ours : theirs;
    int flags = fcntl(ours, F_GETFL);
    return fcntl(ours, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static int open_one(struct spawn *spawn, int which)
{
    int fd;
    switch (spawn->stdio[which]) {
    case WEFT_CHILD_INHERIT:
    case WEFT_CHILD_STDOUT:
        return 0;
    case WEFT_CHILD_PIPE:
        return open_pipe(spawn, which);
    case WEFT_CHILD_NULL:
        fd = raise_fd(open("/dev/null", (which == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC));
        break;
    default: /* also when it is 0, 1 or 2 itself: two may change their places */
        fd = fcntl(spawn->stdio[which] - WEFT_CHILD_FD(0), F_DUPFD_CLOEXEC, 3);
    }
    if (fd == -1)
        return -errno;
    if (fd < 0)
        return fd;
    spawn->theirs[which] = fd;
    return 0;
}

static bool makes_sense(const struct spawn *spawn, int which)
{
    int value = spawn->stdio[which];
    return (value >= WEFT_CHILD_INHERIT && value <= WEFT_CHILD_NULL) ||
           (value == WEFT_CHILD_STDOUT && which == 2) || value >= WEFT_CHILD_FD(0);
}

int spawn_open(struct spawn *spawn, const char *const argv[], const weft_child_options *options,
               const int defaults[3])
{
    const int asked[3] = { options->in, options->out, options->err };
    if (!argv || !argv[0])
        return -EINVAL;
    *spawn = (struct spawn){ .argv = argv, .options = options };
    for (int i = 0; i < 3; i++) {
        spawn->stdio[i] = asked[i] ? asked[i] : defaults[i];
        spawn->theirs[i] = spawn->ours[i] = -1;
        if (!makes_sense(spawn, i))
            return -EINVAL;
    }
    for (int i = 0; i < 3; i++) {
        int rc = open_one(spawn, i);
        if (rc < 0) {
            spawn_close(spawn);
            return rc;
        }
    }
    return 0;
}

void spawn_close(struct spawn *spawn)
{
    for (int i = 0; i < 3; i++) {
        spawn_close_fd(&spawn->theirs[i]);
        spawn_close_fd(&spawn->ours[i]);
    }
}

/* ---- the start */

/* What the child does before it becomes the program. Returns 0 or a positive error. */
static int fill_actions(posix_spawn_file_actions_t *actions, const struct spawn *spawn)
{
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++)
        if (spawn->theirs[i] >= 0)
            rc = posix_spawn_file_actions_adddup2(actions, spawn->theirs[i], i);
    if (rc == 0 && spawn->stdio[2] == WEFT_CHILD_STDOUT)
        rc = posix_spawn_file_actions_adddup2(actions, 1, 2);
    if (rc == 0 && spawn->options->directory)
        rc = posix_spawn_file_actions_addchdir_np(actions, spawn->options->directory);
    return rc;
}

/* Signals as a program expects them. Handlers are gone with the exec, so that leaves the ignored
 * ones, of which SIGHUP is ignored for the programs that come after. */
static void fill_attributes(posix_spawnattr_t *attributes, const struct spawn *spawn)
{
    sigset_t signals;
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(attributes, &signals);
    sigfillset(&signals);
    sigdelset(&signals, SIGHUP);
    sigdelset(&signals, SIGKILL);
    sigdelset(&signals, SIGSTOP);
    posix_spawnattr_setsigdefault(attributes, &signals);
    if (spawn->options->own_group) {
        flags |= POSIX_SPAWN_SETPGROUP;
        posix_spawnattr_setpgroup(attributes, 0);
    }
    posix_spawnattr_setflags(attributes, flags);
}

static int start_blocking(void *ctx)
{
    struct spawn *spawn = ctx;
    const char *const *environment = spawn->options->environment;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc)
        return -rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc)
        goto no_attributes;
    rc = fill_actions(&actions, spawn);
    if (rc)
        goto no_start;
    fill_attributes(&attributes, spawn);
    rc =
        posix_spawnp(&spawn->pid, spawn->argv[0], &actions, &attributes, (char *const *)spawn->argv,
                     environment ? (char *const *)environment : environ);
no_start:
    posix_spawnattr_destroy(&attributes);
no_attributes:
    posix_spawn_file_actions_destroy(&actions);
    return -rc;
}

int spawn_start(struct spawn *spawn)
{
    int rc = weft_blocking(start_blocking, spawn);
    for (int i = 0; i < 3; i++)
        spawn_close_fd(&spawn->theirs[i]);
    return rc;
}
