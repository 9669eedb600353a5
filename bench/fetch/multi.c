/* SPDX-License-Identifier: MIT */
/*
 * multi URLS JOBS
 *
 * Fetches the URLs in a file with nothing but libcurl's multi interface, driven by epoll: one
 * thread, JOBS transfers under way, each on an easy handle that takes the next URL when it is done.
 * Bodies are discarded. This is as little as fetching with libcurl in one thread can cost, so it is
 * the limit that weft fetch with tasks is held to.
 */
#include "fetch/urls.h"
#include "harness/harness.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { EVENTS = 256 };

static struct urls urls;
static size_t next, active, fetched; /* active: handles in use; fetched: answered with 200 */
static CURLM *multi;
static int poll_fd;
static uint64_t due = UINT64_MAX; /* when libcurl wants to be called without an event */

/* libcurl says what to watch a socket for; its own pointer tells whether it is watched already. */
static int watch(CURL *easy, curl_socket_t fd, int what, void *ctx, void *watched)
{
    (void)easy, (void)ctx;
    struct epoll_event event = { .data.fd = fd };
    if (what & CURL_POLL_IN && what != CURL_POLL_REMOVE)
        event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT && what != CURL_POLL_REMOVE)
        event.events |= EPOLLOUT;
    if (what == CURL_POLL_REMOVE)
        epoll_ctl(poll_fd, EPOLL_CTL_DEL, fd, &event); /* it may be closed already */
    else
        bench_must(epoll_ctl(poll_fd, watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == 0,
                   "epoll_ctl");
    curl_multi_assign(multi, fd, what == CURL_POLL_REMOVE ? NULL : &urls);
    return 0;
}

static int set_timer(CURLM *of, long ms, void *ctx)
{
    (void)of, (void)ctx;
    due = ms < 0 ? UINT64_MAX : bench_now() + (uint64_t)ms * 1000000;
    return 0;
}

static void fetch_next(CURL *easy)
{
    if (next == urls.count) {
        curl_easy_cleanup(easy);
        active--;
        return;
    }
    curl_easy_setopt(easy, CURLOPT_URL, urls.list[next++]);
    bench_must(curl_multi_add_handle(multi, easy) == CURLM_OK, "curl_multi_add_handle");
}

static void take_finished(void)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &left)) != NULL;) {
        long status = 0;
        CURL *easy = message->easy_handle;
        if (message->data.result == CURLE_OK)
            curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        fetched += status == 200;
        curl_multi_remove_handle(multi, easy);
        fetch_next(easy);
    }
}

static int wait_ms(void)
{
    uint64_t now = bench_now();
    if (due == UINT64_MAX)
        return -1;
    return due <= now ? 0 : (int)((due - now + 999999) / 1000000);
}

static void act(curl_socket_t fd, uint32_t events)
{
    int what = 0;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        what |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        what |= CURL_CSELECT_OUT;
    curl_multi_socket_action(multi, fd, what, &(int){ 0 });
}

static void run(void)
{
    struct epoll_event events[EVENTS];
    while (active > 0) {
        int n = epoll_wait(poll_fd, events, EVENTS, wait_ms());
        bench_must(n >= 0 || errno == EINTR, "epoll_wait");
        for (int i = 0; i < n; i++)
            act(events[i].data.fd, events[i].events);
        if (due <= bench_now()) {
            due = UINT64_MAX;
            curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &(int){ 0 });
        }
        take_finished();
    }
}

static size_t discard(char *bytes, size_t size, size_t n, void *ctx)
{
    (void)bytes, (void)ctx;
    return size * n;
}

static void start(unsigned long jobs)
{
    for (unsigned long i = 0; i < jobs && i < urls.count; i++) {
        CURL *easy = curl_easy_init();
        bench_must(easy != NULL, "curl_easy_init");
        active++;
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        fetch_next(easy);
    }
}

int main(int argc, char **argv)
{
    unsigned long jobs = bench_argument(argc, argv, 2, "JOBS");
    bench_must(curl_global_init(CURL_GLOBAL_DEFAULT) == 0, "curl_global_init");
    urls = urls_read(argv[1]);
    multi = curl_multi_init();
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    bench_must(multi != NULL && poll_fd >= 0, "curl_multi_init");
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)jobs);
    start(jobs);
    run();
    curl_multi_cleanup(multi);
    printf("%zu\n", fetched);
    return fetched == urls.count ? 0 : 1;
}
