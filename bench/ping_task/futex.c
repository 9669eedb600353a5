/* SPDX-License-Identifier: MIT */
/* Two threads wake one another by a futex each: the least that a thread's sleep can cost. */
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

struct player {
    _Alignas(64) uint32_t woken; /* atomic */
};

static void player_open(struct player *player)
{
    (void)player;
}

static void player_wake(struct player *player)
{
    __atomic_store_n(&player->woken, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &player->woken, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void player_wait(struct player *player)
{
    while (__atomic_load_n(&player->woken, __ATOMIC_ACQUIRE) == 0)
        syscall(SYS_futex, &player->woken, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    __atomic_store_n(&player->woken, 0, __ATOMIC_RELAXED); /* the other wakes only when played to */
}

#include "ping_task/body.h"
