/* SPDX-License-Identifier: MIT */
/*
 * base/fence.c: the heavy fence, by membarrier(2) (Linux 4.14; a process's registration is
 * inherited by fork).
 *
 * fence_is_light is false until the library is loaded, when no other thread can be in it, and then
 * constant: a light fence that is light never meets a heavy one that is not. WEFT_MEMBARRIER=0 in
 * the environment keeps it false.
 *
 * One thing can break that: a program that forbids itself the system call later (seccomp). Then the
 * light fence becomes full, and heavy ones wait until every light one that was still light is over:
 * whatever such a thread stored is visible long before that, since nothing keeps a store from the
 * other CPUs for longer than an interrupt. Only who has waited so says that nobody need any more.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fence.h"

bool fence_is_light;
static bool was_light; /* some light fence may still be light; false until the library is loaded */

static bool membarrier(int command)
{
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

__attribute__((constructor)) static void choose(void)
{
    const char *wish = getenv("WEFT_MEMBARRIER");
    bool wanted = !wish || wish[0] != '0';
    fence_is_light = wanted && membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
    was_light = fence_is_light;
}

void fence_heavy(void)
{
    if (load_relaxed(&was_light)) { /* relaxed: see above */
        if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
            return;
        store_relaxed(&fence_is_light, false); /* relaxed: the time that passes orders it */
        struct timespec left = { .tv_nsec = 10000000 };
        while (nanosleep(&left, &left) < 0 && errno == EINTR) {
        }
        store_relaxed(&was_light, false); /* relaxed: as above */
    }
    __sync_synchronize();
}
