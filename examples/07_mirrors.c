/* SPDX-License-Identifier: MIT */
/*
 * Introduces weft_group_next and weft_group_cancel: asks all the mirrors given for the same page.
 * The first that has it wins, the others are cancelled, and what became of each is told.
 *
 *     07_mirrors URL...
 */
#include <errno.h>
#include <stdio.h>
#include <weft.h>
#include <weft/curl.h>

static size_t count(const char *bytes, size_t size, size_t n, void *total)
{
    (void)bytes;
    *(size_t *)total += size * n;
    return size * n;
}

static int fetch(weft_call *call)
{
    CURLcode code = CURLE_OK;
    size_t total = 0;
    CURL *easy = curl_easy_init();
    if (!easy)
        return -ENOMEM;
    curl_easy_setopt(easy, CURLOPT_URL, call->arg);
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, count);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &total);
    int rc = weft_curl_perform(easy, &code, weft_after(60 * WEFT_S));
    curl_easy_cleanup(easy);
    if (rc < 0)
        return weft_call_fail(call, rc, "%s", weft_strerror(rc));
    if (code != CURLE_OK)
        return weft_call_fail(call, -EIO, "%s", curl_easy_strerror(code));
    return weft_call_return(call, &total, sizeof total);
}

/* Tells what became of each mirror, in the order of ending. Returns whether one had the page. */
static bool race(weft_group *mirrors, char **urls)
{
    weft_future *future;
    bool won = false;
    while (weft_group_next(mirrors, &future, WEFT_FOREVER) == 0) {
        const weft_outcome *outcome = weft_future_outcome(future);
        const size_t *total = weft_future_result(future, NULL);
        const char *url = urls[weft_future_index(future)];
        if (total && !won) {
            printf("%s: won with %zu bytes\n", url, *total);
            weft_group_cancel(mirrors);
            won = true;
        } else if (total) {
            printf("%s: came too late\n", url); /* it ended at the same time */
        } else if (outcome->how == WEFT_CANCELLED) {
            printf("%s: cancelled\n", url);
        } else {
            printf("%s: %s: %s\n", url, weft_how_name(outcome->how), outcome->text);
        }
        weft_future_close(future);
    }
    return won;
}

int main(int argc, char **argv)
{
    weft_group *mirrors = NULL;
    bool won = false;
    setvbuf(stdout, NULL, _IOLBF, 0); /* told when it happens, also into a pipe */
    int rc = weft_group_open(&mirrors, WEFT_TASKS, &(weft_options){ .on_failure = WEFT_GO_ON });
    for (int i = 1; rc == 0 && i < argc; i++)
        rc = weft_group_submit(mirrors, fetch, argv[i], WEFT_STRING, NULL, WEFT_FOREVER);
    if (rc == 0)
        won = race(mirrors, argv + 1);
    weft_group_close(mirrors);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", argv[0], weft_strerror(rc));
    return won ? 0 : 1;
}
