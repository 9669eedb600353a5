/* SPDX-License-Identifier: MIT */
/*
 * base/futex_any.c: sleeping on several words at once, words that processes share among them.
 *
 * futex_waitv(2) does it (Linux 5.16). Where the kernel does not have it, or a filter forbids it,
 * the sleep is on the first word, in slices, between which all are looked at: a wake-up of the
 * first is prompt, of the others up to SLICE_NS late. WEFT_WAITV=0 in the environment does the
 * same.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/futex.h"
#include "base/sanitizer.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* on all architectures */
#endif

enum { SIZE_U32 = 2, PRIVATE = 128 }; /* FUTEX2_SIZE_U32, FUTEX2_PRIVATE */

#define SLICE_NS (10 * WEFT_MS)

static bool waitv_is_missing; /* false until found otherwise; the same for all who find it */

__attribute__((constructor)) static void choose(void)
{
    const char *wish = getenv("WEFT_WAITV");
    waitv_is_missing = wish && wish[0] == '0';
}

static struct timespec as_time(weft_deadline deadline)
{
    int64_t ns = deadline.ns > 0 ? deadline.ns : 0;
    return (struct timespec){ .tv_sec = ns / WEFT_S, .tv_nsec = ns % WEFT_S };
}

struct futex_place futex_place(const uint32_t *word, uint32_t value, bool shared)
{
    return (struct futex_place){ .value = value,
                                 .word = (uintptr_t)word,
                                 .flags = SIZE_U32 | (shared ? 0 : PRIVATE) };
}

bool futex_changed(const struct futex_place *places, size_t n)
{
    for (size_t i = 0; i < n; i++)
        /* acquire: pairs with whatever release changed it; the caller looks again anyway */
        if (load_acquire((const uint32_t *)(uintptr_t)places[i].word) != places[i].value)
            return true;
    return false;
}

static int wait_on_first(const struct futex_place *first, weft_deadline deadline)
{
    struct timespec until = as_time(deadline);
    long rc = syscall(SYS_futex, first->word, FUTEX_WAIT_BITSET, (uint32_t)first->value, &until,
                      NULL, FUTEX_BITSET_MATCH_ANY);
    return rc < 0 && errno == ETIMEDOUT ? -ETIMEDOUT : 0;
}

static int wait_in_slices(const struct futex_place *places, size_t n, weft_deadline deadline)
{
    while (!futex_changed(places, n)) {
        weft_deadline slice = weft_sooner(deadline, weft_after(SLICE_NS));
        if (wait_on_first(&places[0], slice) == 0)
            return 0;
        if (slice.ns >= deadline.ns)
            return -ETIMEDOUT;
    }
    return 0;
}

static int wait_once(const struct futex_place *places, size_t n, weft_deadline deadline)
{
    struct timespec at, *until = NULL;
    if (n == 1)
        return wait_on_first(places, deadline);
    if (load_relaxed(&waitv_is_missing)) /* relaxed: see above */
        return wait_in_slices(places, n, deadline);
    if (deadline.ns != INT64_MAX) {
        at = as_time(deadline);
        until = &at;
    }
    if (syscall(SYS_futex_waitv, places, n, 0, until, CLOCK_MONOTONIC) >= 0)
        return 0;
    if (errno == ETIMEDOUT)
        return -ETIMEDOUT;
    if (errno != ENOSYS && errno != EPERM)
        return 0;
    store_relaxed(&waitv_is_missing, true); /* relaxed: see above */
    return wait_in_slices(places, n, deadline);
}

int futex_wait_any(const struct futex_place *places, size_t n, weft_deadline deadline)
{
    if (!THREAD_SANITIZER)
        return wait_once(places, n, deadline);
    /* As in futex_wait(): ThreadSanitizer wants a call that it knows. */
    weft_deadline slice = weft_sooner(deadline, weft_after(100 * WEFT_MS));
    int rc = wait_once(places, n, slice);
    nanosleep(&(struct timespec){ 0 }, NULL);
    return slice.ns < deadline.ns ? 0 : rc;
}

void futex_wake_shared(const uint32_t *word, int n)
{
    syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
}
