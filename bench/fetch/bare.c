/* SPDX-License-Identifier: MIT */
/*
 * bare URLS THREADS
 *
 * Fetches the URLs in a file, one a line, with nothing but libcurl: each of THREADS threads has one
 * easy handle, which keeps its connection, and takes the next URL from a shared counter. Bodies are
 * discarded. This is as little as fetching with libcurl's easy interface can cost, so it is the
 * limit that weft fetch is held to.
 */
#include "fetch/urls.h"
#include "harness/harness.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static struct urls urls;
static size_t next;    /* atomic */
static size_t fetched; /* atomic: answered with 200 */

static size_t discard(char *bytes, size_t size, size_t n, void *ctx)
{
    (void)bytes, (void)ctx;
    return size * n;
}

static void fetch(CURL *easy, const char *url)
{
    long status = 0;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    if (curl_easy_perform(easy) == CURLE_OK)
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200)
        __atomic_fetch_add(&fetched, 1, __ATOMIC_RELAXED);
}

static void *fetch_some(void *ctx)
{
    CURL *easy = curl_easy_init();
    size_t i;
    bench_must(easy != NULL, "curl_easy_init");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    while ((i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < urls.count)
        fetch(easy, urls.list[i]);
    curl_easy_cleanup(easy);
    return ctx;
}

int main(int argc, char **argv)
{
    unsigned long threads = bench_argument(argc, argv, 2, "THREADS");
    pthread_t *ids = calloc(threads, sizeof *ids);
    bench_must(ids != NULL && curl_global_init(CURL_GLOBAL_DEFAULT) == 0, "curl_global_init");
    urls = urls_read(argv[1]);
    for (unsigned long i = 0; i < threads; i++)
        bench_must(pthread_create(&ids[i], NULL, fetch_some, NULL) == 0, "pthread_create");
    for (unsigned long i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    printf("%zu\n", fetched);
    return fetched == urls.count ? 0 : 1;
}
