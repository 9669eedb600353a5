/* SPDX-License-Identifier: MIT */
/* Introduces tasks, one word from 01_threads: fetches the URLs given, each in a task of its own. */
#include <errno.h>
#include <stdio.h>
#include <weft.h>
#include <weft/curl.h>

static size_t discard(const char *bytes, size_t size, size_t n, void *ctx)
{
    (void)bytes, (void)ctx;
    return size * n;
}

static int fetch_url(weft_call *call)
{
    const char *url = call->arg;
    CURLcode code = CURLE_OK;
    long status = 0;
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    int rc = weft_curl_perform(easy, &code, weft_after(10 * WEFT_S));
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(easy);
    if (rc < 0 || code != CURLE_OK)
        return weft_call_fail(call, -EIO, "%s: %s", url,
                              rc < 0 ? weft_strerror(rc) : curl_easy_strerror(code));
    printf("Fetched %s with status %ld\n", url, status);
    return 0;
}

static void complain(const weft_outcome *outcome, void *ctx)
{
    (void)ctx;
    fprintf(stderr, "Failed %s\n", outcome->text);
}

int main(int argc, char **argv)
{
    weft_options options = { .workers = argc - 1, .on_error = complain };
    weft_map urls = { .in = argv + 1, .count = argc - 1, .in_bytes = WEFT_STRING };
    weft_pool *pool = NULL;
    urls.on_failure = WEFT_GO_ON;
    int rc = weft_pool_open(&pool, WEFT_TASKS, &options);
    if (rc == 0)
        rc = weft_pool_map(pool, fetch_url, &urls, WEFT_FOREVER);
    weft_pool_close(pool);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", argv[0], weft_strerror(rc));
    return rc < 0;
}
