/* SPDX-License-Identifier: MIT */
/*
 * Two threads wake one another by an eventfd that the other's io_uring reads: the least that the
 * sleep of a worker can cost which waits for I/O as well.
 */
#include "harness/uring.h"

#include <sys/eventfd.h>
#include <unistd.h>

struct player {
    _Alignas(64) struct io_uring ring;
    int fd;
    uint64_t count;
};

static void player_read(struct player *player)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&player->ring);
    io_uring_prep_read(sqe, player->fd, &player->count, sizeof player->count, 0);
}

static void player_open(struct player *player)
{
    bench_ring_open(&player->ring, 8);
    player->fd = eventfd(0, EFD_CLOEXEC);
    bench_must(player->fd >= 0, "eventfd");
    player_read(player);
}

static void player_wake(struct player *player)
{
    bench_must(write(player->fd, &(uint64_t){ 1 }, sizeof(uint64_t)) == sizeof(uint64_t), "write");
}

static void player_wait(struct player *player)
{
    struct io_uring_cqe *cqe;
    bench_must(io_uring_submit_and_wait(&player->ring, 1) >= 0, "io_uring_submit_and_wait");
    bench_must(io_uring_peek_cqe(&player->ring, &cqe) == 0, "io_uring_peek_cqe");
    bench_must(cqe->res == sizeof player->count && player->count == 1, "one wake-up at a time");
    io_uring_cqe_seen(&player->ring, cqe);
    player_read(player);
}

#include "ping_task/body.h"
