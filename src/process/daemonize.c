/* SPDX-License-Identifier: MIT */
/*
 * process/daemonize.c: a program that goes on in the background, and takes its zygote with it.
 *
 *     program --fork--> in between: setsid() --fork--> daemon: opens /dev/null, says its id
 *        | <------------------------------------------------------/
 *        | moves the zygote: its program is the daemon from now on
 *        \ "go on" ------------------------------------------------> /, /dev/null, returns 0
 *       _exit(0)
 *
 * All that can fail is done before the program ends: then the daemon to be, which still waits, ends
 * instead, and the program has its error and is what it was. Whoever waits for the program to end
 * (a shell, an init script) may rely on the daemon being there.
 *
 * The zygote watches the daemon from then on, and leaves what belongs to the old session: the
 * terminal, standard streams, the working directory. What it had forked before goes on: the daemon
 * has the program's memory, so processes are its own as they were the program's. That the daemon
 * leads no session keeps it from getting a terminal by opening one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft/program.h>

#include "base/participants.h"
#include "park/trace.h"
#include "process/ask.h"
#include "process/descriptors.h"
#include "process/process.h"

/* What the daemon to be says. */
struct word {
    pid_t pid;
    int error; /* negative; 0: it is ready */
};

static int check(void)
{
    if (zygote_is_strange())
        return -ECHILD;
    if (zygote_is_child())
        return -EPERM;
    return zygote_may_fork() && !zygote_has_snapshots() ? 0 : -EBUSY;
}

/* In the daemon: says that it is ready, waits for the program, and becomes what a daemon is. */
static int become_daemon(int socket)
{
    char go;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct word word = { getpid(), null < 0 ? -errno : 0 };
    if (send(socket, &word, sizeof word, MSG_NOSIGNAL) < 0 || recv(socket, &go, 1, 0) != 1)
        _exit(EXIT_FAILURE); /* the program goes on itself, or is dead */
    close(socket);
    (void)!chdir("/");
    descriptors_silence(null);
    close(null);
    if (process_available())
        participant_become(participant_self);
    trace_resume();
    return 0;
}

/* The daemon is there and waits. Makes it the zygote's program. */
static int hand_over(int socket, pid_t *ret_daemon)
{
    struct word word;
    struct ask_answer answer;
    if (recv(socket, &word, sizeof word, 0) != (ssize_t)sizeof word)
        return -EAGAIN; /* it was killed */
    if (word.error)
        return word.error;
    *ret_daemon = word.pid;
    if (!process_available())
        return 0;
    int pidfd = descriptors_of_process(word.pid);
    if (pidfd < 0)
        return pidfd;
    int rc = ask_zygote(ZYGOTE_MOVE, (uint64_t)word.pid, pidfd, &answer);
    close(pidfd);
    return rc;
}

int weft_daemonize(void)
{
    pid_t daemon = -1;
    int ends[2], rc = check();
    if (rc < 0)
        return rc;
    fflush(NULL); /* or both would print it */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    pid_t between = zygote_fork();
    rc = between < 0 ? -errno : 0;
    if (between == 0) {
        close(ends[0]);
        setsid();
        daemon = zygote_fork();
        if (daemon == 0)
            return become_daemon(ends[1]);
        _exit(daemon < 0 ? errno : 0);
    }
    close(ends[1]);
    if (rc == 0)
        rc = zygote_reap(between);
    if (rc == 0)
        rc = hand_over(ends[0], &daemon);
    if (rc == 0) {
        trace_move(daemon); /* before there is another daemon to say so */
        if (send(ends[0], "", 1, MSG_NOSIGNAL) == 1)
            _exit(EXIT_SUCCESS);
        trace_move(getpid());
    }
    close(ends[0]); /* which ends the daemon, if there is one */
    return rc < 0 ? rc : -EAGAIN;
}
