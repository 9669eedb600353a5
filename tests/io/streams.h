/* SPDX-License-Identifier: MIT */
/* What the tests of streams, listeners and datagrams have in common. */
#ifndef STREAMS_H
#define STREAMS_H

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft/listener.h>
#include <weft/scope.h>
#include <weft/self.h>
#include <weft/stream.h>

#include "harness.h"
#include "strands.h"

static weft_listener *listener;
static char address[WEFT_ADDRESS_BYTES]; /* the listener's */

/* An address of the abstract namespace that no other test has. */
__attribute__((unused)) static const char *unix_address(void)
{
    static char text[WEFT_ADDRESS_BYTES];
    snprintf(text, sizeof text, "unix:@weft-test-%d", getpid());
    return text;
}

__attribute__((unused)) static void listen_at(const char *at, int backlog)
{
    int rc = weft_listener_open(&listener, at, backlog);
    if (strchr(at, '[') && (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL))
        SKIP("this system has no IPv6");
    EXPECT_EQ(rc, 0);
    EXPECT_EQ(weft_listener_address(listener, address, sizeof address), 0);
}

/* Runs one function in a strand of the kind under test. */
__attribute__((unused)) static void in_strand(void (*fn)(size_t index))
{
    strands_join(strands_start(1, fn));
}

/* ---- strands that wait for the system */

static atomic_int waiter; /* its thread */

/* Said by a strand that is about to wait. */
__attribute__((unused)) static void about_to_wait(void)
{
    atomic_store(&waiter, gettid());
}

static bool thread_sleeps(int thread)
{
    char path[64], text[200] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    const char *name_end = n > 0 ? strrchr(text, ')') : NULL;
    return name_end && name_end[2] == 'S';
}

/* Returns when a strand has said so, and its thread sleeps. */
__attribute__((unused)) static void until_it_waits(void)
{
    UNTIL(atomic_load(&waiter) && thread_sleeps(atomic_load(&waiter)));
    atomic_store(&waiter, 0);
}

/* No descriptor can be opened from here on. Returns the old limit. */
__attribute__((unused)) static rlim_t use_up_descriptors(void)
{
    struct rlimit limit;
    int lowest = dup(0); /* the lowest that is free; all above are, too, or do not matter */
    close(lowest);
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = (rlim_t)lowest;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(dup(0), -1);
    return before;
}

__attribute__((unused)) static void give_descriptors_back(rlim_t before)
{
    struct rlimit limit;
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = before;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

#endif
