/* SPDX-License-Identifier: MIT */
/* curl.c: what is public of libweft-curl, and the choice between its two ways (engine.h). */
#include "engine.h"

#include <weft/once.h>
#include <weft/scope.h>
#include <weft/self.h>

#include <errno.h>
#include <pthread.h>

unsigned bridge_forks;

static weft_once once = WEFT_ONCE_INIT;

static void count_fork(void)
{
    bridge_forks++;
}

static int prepare_engines(void)
{
    int rc = threads_prepare();

    if (rc != 0)
        return rc;
    rc = tasks_prepare();
    if (rc != 0)
        goto no_tasks;
    rc = pthread_atfork(NULL, NULL, count_fork);
    if (rc == 0)
        return 0;
    tasks_unprepare();
no_tasks:
    threads_unprepare();
    return rc;
}

static int prepare(void *ctx)
{
    (void)ctx;
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK)
        return code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EIO;
    int rc = prepare_engines();
    if (rc != 0)
        curl_global_cleanup();
    return -rc;
}

int weft_curl_init(void)
{
    return weft_once_run(&once, prepare, NULL);
}

int bridge_error(CURLMcode code)
{
    switch (code) {
    case CURLM_OK:
        return 0;
    case CURLM_BAD_EASY_HANDLE:
        return -EINVAL;
    case CURLM_ADDED_ALREADY:
        return -EBUSY;
    case CURLM_OUT_OF_MEMORY:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

/* Without "quick exit" libcurl would wait for
 * the thread that looks up the name; with it, that thread cleans up after itself. */
void bridge_abandon(CURLM *multi, CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_multi_remove_handle(multi, easy);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 0L);
#else
    curl_multi_remove_handle(multi, easy);
#endif
}

/* A scope whose deadline ended a wait says so when it is left, but only waits of weft's own tell
 * it: this one ends at once, since the scope's time is over. */
static void tell_scope(weft_deadline scope)
{
    if (weft_left(scope) == 0)
        (void)!weft_sleep_until(WEFT_FOREVER);
}

static bool in_task(void)
{
    return weft_self_kind() == WEFT_TASKS;
}

int weft_curl_perform(CURL *easy, CURLcode *ret_code, weft_deadline deadline)
{
    weft_deadline scope = weft_scope_deadline();

    if (easy == NULL || ret_code == NULL)
        return -EINVAL;
    int rc = weft_curl_init();
    if (rc < 0)
        return rc;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    deadline = weft_sooner(deadline, scope);
    rc = in_task() ? tasks_perform(easy, ret_code, deadline)
                   : threads_perform(easy, ret_code, deadline);
    if (rc == -ETIMEDOUT)
        tell_scope(scope);
    return rc;
}

void weft_curl_release(void)
{
    if (weft_curl_init() < 0)
        return;
    if (in_task())
        tasks_release();
    else
        threads_release();
}
