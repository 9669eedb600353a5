/* SPDX-License-Identifier: MIT */
/*
 * client PORT PID CONNECTIONS MS
 *
 * The load for every echo server: on each connection 64 bytes go out, and as soon as they are back
 * the next 64. When every connection has had an answer, and after a fifth of MS of warming up, it
 * counts answers for MS milliseconds, and what CPU time the server, process PID, used meanwhile.
 * One thread and epoll; the harness binds it to a CPU that the server does not use.
 */
#include "harness/harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 64, EVENTS = 256, SILENCE_MS = 10000 };

struct connection {
    int fd;
    size_t got;      /* of the answer */
    uint64_t number; /* of the message that is out; its first bytes */
    char answer[MESSAGE_BYTES];
};

static uint64_t answers;
static unsigned long served; /* connections that have had an answer */

static void send_next(struct connection *connection)
{
    char message[MESSAGE_BYTES];
    connection->number++;
    connection->got = 0;
    memset(message, 'w', sizeof message);
    memcpy(message, &connection->number, sizeof connection->number);
    bench_must(send(connection->fd, message, sizeof message, MSG_NOSIGNAL) == MESSAGE_BYTES,
               "send");
}

static void check_answer(const struct connection *connection)
{
    bench_must(memcmp(connection->answer, &connection->number, sizeof connection->number) == 0 &&
                   connection->answer[MESSAGE_BYTES - 1] == 'w',
               "the answer is what was sent");
}

static void receive(struct connection *connection)
{
    ssize_t n = recv(connection->fd, connection->answer + connection->got,
                     MESSAGE_BYTES - connection->got, 0);
    bench_must(n > 0, "recv");
    connection->got += (size_t)n;
    if (connection->got < MESSAGE_BYTES)
        return;
    check_answer(connection);
    answers++;
    served += connection->number == 1;
    send_next(connection);
}

static void dial(struct connection *connection, unsigned long port, int poll)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bench_must(connection->fd >= 0, "socket");
    bench_must(connect(connection->fd, (struct sockaddr *)&address, sizeof address) == 0,
               "connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    bench_must(epoll_ctl(poll, EPOLL_CTL_ADD, connection->fd, &event) == 0, "epoll_ctl");
}

static void run_once(int poll)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(poll, events, EVENTS, SILENCE_MS);
    bench_must(n > 0 || (n < 0 && errno == EINTR), "the server answers");
    for (int i = 0; i < n; i++)
        receive(events[i].data.ptr);
}

static void run_until(int poll, uint64_t end)
{
    while (bench_now() < end)
        run_once(poll);
}

static uint64_t cpu_ns(clockid_t clock)
{
    struct timespec time;
    bench_must(clock_gettime(clock, &time) == 0, "the server's CPU time");
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int main(int argc, char **argv)
{
    unsigned long port = bench_argument(argc, argv, 1, "PORT");
    unsigned long pid = bench_argument(argc, argv, 2, "PID");
    unsigned long count = bench_argument(argc, argv, 3, "CONNECTIONS");
    uint64_t ns = bench_argument(argc, argv, 4, "MS") * 1000000;
    struct connection *connections = calloc(count, sizeof *connections);
    clockid_t server;
    int poll = epoll_create1(EPOLL_CLOEXEC);
    bench_must(connections != NULL && poll >= 0, "epoll_create1");
    bench_must(clock_getcpuclockid((pid_t)pid, &server) == 0, "clock_getcpuclockid");
    for (unsigned long i = 0; i < count; i++)
        dial(&connections[i], port, poll);
    for (unsigned long i = 0; i < count; i++)
        send_next(&connections[i]);
    while (served < count)
        run_once(poll);
    run_until(poll, bench_now() + ns / 5);
    answers = 0;
    uint64_t used = cpu_ns(server), began = bench_now();
    run_until(poll, began + ns);
    uint64_t took = bench_now() - began;
    used = cpu_ns(server) - used;
    printf("{\"per_s\": %.1f, \"cpu_us\": %.4f}\n", (double)answers * 1e9 / (double)took,
           (double)used / 1e3 / (double)answers);
    free(connections);
    return 0;
}
