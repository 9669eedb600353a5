/* SPDX-License-Identifier: MIT */
/* What is tried again, and when.
 *
 * The wait doubles with each attempt and is then shortened by up to half, at random, so that URLs
 * that failed together do not come back together. What a server asks for with Retry-After is a
 * least wait, up to a limit of the user's. */
#include "retry.h"

bool retry_may_help(enum failure failure, int status)
{
    switch (failure) {
    case FAILURE_DNS:
    case FAILURE_CONNECT:
    case FAILURE_TIMEOUT:
    case FAILURE_DROPPED:
    case FAILURE_WORKER:
        return true;
    case FAILURE_HTTP:
        return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 ||
               status == 503 || status == 504;
    default:
        return false;
    }
}

static int64_t doubled(int64_t ns, uint32_t times)
{
    for (; times > 0 && ns < RETRY_BACKOFF_MAX_NS; times--)
        ns *= 2;
    return ns;
}

static int64_t asked_for(const struct settings *settings, int64_t retry_after_s)
{
    if (retry_after_s > settings->retry_after_max_ns / WEFT_S)
        return settings->retry_after_max_ns;
    return retry_after_s * WEFT_S;
}

int64_t retry_wait_ns(const struct settings *settings, uint32_t attempts, int64_t retry_after_s,
                      uint64_t random)
{
    int64_t most = settings->backoff_ns; /* --backoff above the limit is the user's will */
    int64_t wait = doubled(settings->backoff_ns, attempts - 1);
    int64_t least = retry_after_s > 0 ? asked_for(settings, retry_after_s) : 0;

    if (most < RETRY_BACKOFF_MAX_NS)
        most = RETRY_BACKOFF_MAX_NS;
    if (wait > most)
        wait = most;
    wait -= (int64_t)(random % ((uint64_t)wait / 2 + 1));
    return wait > least ? wait : least;
}
