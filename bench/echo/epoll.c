/* SPDX-License-Identifier: MIT */
/* The echo server with nothing but epoll: read what there is, write it back. */
#include "harness/listen.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 256, BUFFER_BYTES = 4096 };

static int poll_fd, listener;

static void watch(int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    bench_must(epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static void accept_all(void)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        watch(fd);
    bench_must(errno == EAGAIN, "accept4");
}

static void echo(int fd)
{
    char bytes[BUFFER_BYTES];
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    if (n <= 0)
        close(fd);
    else
        bench_must(send(fd, bytes, (size_t)n, MSG_NOSIGNAL) == n, "send");
}

int main(void)
{
    struct epoll_event events[EVENTS];
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    listener = bench_listen(SOCK_NONBLOCK);
    watch(listener);
    bench_say_port(bench_port_of(listener));
    for (;;) {
        int n = epoll_wait(poll_fd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all();
            else
                echo(events[i].data.fd);
        }
    }
}
