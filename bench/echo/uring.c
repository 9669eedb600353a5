/* SPDX-License-Identifier: MIT */
/*
 * The echo server with nothing but io_uring: each connection has a receive or a send under way, and
 * one system call submits what the last answers led to and waits for the next.
 *
 * user_data is the descriptor, plus SENDING for a send.
 */
#include "harness/listen.h"
#include "harness/uring.h"

#include <unistd.h>

enum { ENTRIES = 4096, BUFFER_BYTES = 4096 };
#define SENDING (UINT64_C(1) << 32)

static struct io_uring ring;
static int listener;
static char buffers[BENCH_CONNECTIONS_MAX][BUFFER_BYTES];

static struct io_uring_sqe *get_sqe(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (sqe == NULL) {
        bench_must(io_uring_submit(&ring) >= 0, "io_uring_submit");
        sqe = io_uring_get_sqe(&ring);
    }
    bench_must(sqe != NULL, "io_uring_get_sqe");
    return sqe;
}

static void accept_next(void)
{
    struct io_uring_sqe *sqe = get_sqe();
    io_uring_prep_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    sqe->user_data = (uint64_t)listener;
}

static void receive(int fd)
{
    bench_must(fd < BENCH_CONNECTIONS_MAX, "too many connections");
    struct io_uring_sqe *sqe = get_sqe();
    io_uring_prep_recv(sqe, fd, buffers[fd], BUFFER_BYTES, 0);
    sqe->user_data = (uint64_t)fd;
}

static void give_back(int fd, size_t n)
{
    struct io_uring_sqe *sqe = get_sqe();
    io_uring_prep_send(sqe, fd, buffers[fd], n, MSG_NOSIGNAL);
    sqe->user_data = (uint64_t)fd | SENDING;
}

static void handle(uint64_t data, int result)
{
    int fd = (int)(uint32_t)data;
    if (fd == listener) {
        bench_must(result >= 0, "accept");
        receive(result);
        accept_next();
    } else if (result <= 0) {
        close(fd);
    } else if (data & SENDING) {
        receive(fd); /* 64 bytes are never sent in part */
    } else {
        give_back(fd, (size_t)result);
    }
}

int main(void)
{
    bench_ring_open(&ring, ENTRIES);
    listener = bench_listen(0);
    accept_next();
    bench_say_port(bench_port_of(listener));
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;
        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            handle(cqe->user_data, cqe->res);
            seen++;
        }
        io_uring_cq_advance(&ring, seen);
    }
}
