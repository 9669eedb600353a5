/* SPDX-License-Identifier: MIT */
/* Ctrl-C, as events. The signals are blocked in all threads and read from a descriptor, by the main
 * strand, so that no handler ever runs in the middle of anything. A signal that was ignored when
 * the program started (in the background, under nohup) stays ignored. A third Ctrl-C changes
 * nothing: stopping is already under way and takes care that no half-written file remains. */
#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct interrupts interrupts = { WEFT_EVENT_INIT, WEFT_EVENT_INIT };

static sigset_t mask_before;

int interrupts_open(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    sigprocmask(SIG_BLOCK, &set, &mask_before);
    return fd;
}

void interrupts_read(int fd)
{
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo != SIGINT || weft_event_is_set(&interrupts.finish))
            weft_event_set(&interrupts.stop);
        weft_event_set(&interrupts.finish);
    }
}

void interrupts_close(int fd)
{
    interrupts_read(fd);
    close(fd);
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
}
