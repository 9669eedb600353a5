/* SPDX-License-Identifier: MIT */
/* libweft-curl: what a transfer gives, whose connections it uses, what its callbacks may do. */
#include "site.h"

#include <errno.h>
#include <stdio.h>

TEST_AT_SITE(perform_gives_what_the_transfer_gave)
{
    struct text text = { .used = 0 };
    CURL *easy = easy_for(site, "page/7?bytes=14");

    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &text);
    expect_fetched(easy);
    EXPECT_STR(text.bytes, "page 7\npage 7\n");
    curl_easy_cleanup(easy);
}

TEST_AT_SITE(perform_leaves_failures_of_the_transfer_to_its_code)
{
    CURL *easy = easy_for(site, "drop");
    CURLcode code = CURLE_OK;

    EXPECT_EQ(weft_curl_perform(easy, &code, WEFT_FOREVER), 0);
    EXPECT_EQ(code, CURLE_GOT_NOTHING);
    aim(easy, site, "page/1");
    expect_fetched(easy);
    curl_easy_cleanup(easy);
}

TEST_AT_SITE(perform_refuses_what_is_no_free_handle)
{
    CURL *easy = easy_for(site, "page/1");
    CURLM *multi = curl_multi_init();
    CURLcode code = CURLE_OK;

    EXPECT_EQ(weft_curl_perform(NULL, &code, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_curl_perform(easy, NULL, WEFT_FOREVER), -EINVAL);
    curl_multi_add_handle(multi, easy);
    EXPECT_EQ(weft_curl_perform(easy, &code, WEFT_FOREVER), -EBUSY);
    curl_multi_remove_handle(multi, easy);
    expect_fetched(easy);
    curl_multi_cleanup(multi);
    curl_easy_cleanup(easy);
}

TEST_AT_SITE(perform_uses_the_connections_of_other_handles)
{
    for (int i = 0; i < 20; i++) {
        CURL *easy = easy_for(site, "page/1");
        expect_fetched(easy);
        curl_easy_cleanup(easy);
    }
    EXPECT_EQ(counter(site, "requests"), 20);
    EXPECT_EQ(counter(site, "connections"), 1);
}

TEST_AT_SITE(perform_takes_over_a_handle_of_curl_easy_perform)
{
    CURL *easy = easy_for(site, "page/1");

    EXPECT_EQ(curl_easy_perform(easy), CURLE_OK);
    expect_fetched(easy);
    curl_easy_cleanup(easy);
}

TEST_AT_SITE(idle_connections_are_bounded)
{
    char host[64];
    int port = 0;

    EXPECT_EQ(sscanf(site->url, "http://127.0.0.1:%d/", &port), 1);
    for (int i = 0; i < 3 * WEFT_CURL_IDLE_MAX; i++) {
        CURL *easy = easy_for(site, "");
        snprintf(host, sizeof host, "host-%d.test:%d:127.0.0.1", i, port);
        struct curl_slist *resolve = curl_slist_append(NULL, host);
        curl_easy_setopt(easy, CURLOPT_RESOLVE, resolve);
        snprintf(host, sizeof host, "http://host-%d.test:%d/page/1", i, port);
        curl_easy_setopt(easy, CURLOPT_URL, host);
        expect_fetched(easy);
        curl_easy_cleanup(easy);
        curl_slist_free_all(resolve);
    }
    EXPECT_EQ(counter(site, "connections"), 3 * WEFT_CURL_IDLE_MAX + 1);
    /* The one that asks is new, and another is closed when it is done; the site may be late in
       seeing that one has gone. */
    while (counter(site, "open") > WEFT_CURL_IDLE_MAX + 1)
        ;
}

TEST_AT_SITE(release_closes_the_connections)
{
    CURL *easy = easy_for(site, "page/1");

    expect_fetched(easy);
    weft_curl_release();
    weft_curl_release();
    EXPECT_EQ(counter(site, "connections"), 2);
    while (counter(site, "open") != 1)
        ;
    curl_easy_cleanup(easy);
}

/* ---- callbacks and threads */

struct nested {
    const struct site *site;
    int times;
};

static size_t fetch_another(const char *data, size_t one, size_t n, void *ctx)
{
    struct nested *nested = ctx;
    CURL *easy = easy_for(nested->site, "page/2");

    (void)data;
    expect_fetched(easy);
    curl_easy_cleanup(easy);
    nested->times++;
    return one * n;
}

TEST_AT_SITE(a_callback_may_perform_another_transfer)
{
    struct nested nested = { site, 0 };
    CURL *easy = easy_for(site, "page/1");

    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, fetch_another);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &nested);
    expect_fetched(easy);
    EXPECT_EQ(nested.times, 1);
    EXPECT_EQ(counter(site, "requests"), 2);
    curl_easy_cleanup(easy);
}

static int fetch_twice(weft_call *call)
{
    int rc = fetch(call);

    return rc == 0 ? fetch(call) : -EIO;
}

TEST(threads_keep_connections_of_their_own_and_close_them_when_they_end)
{
    enum { THREADS = 8 };
    struct site site = site_start();
    weft_group *group;
    char url[128];

    EXPECT_EQ(weft_group_open(&group, WEFT_THREADS, NULL), 0);
    snprintf(url, sizeof url, "%spage/1", site.url);
    for (int i = 0; i < THREADS; i++)
        EXPECT_EQ(weft_group_start(group, fetch_twice, url, WEFT_STRING), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
    EXPECT_EQ(counter(&site, "requests"), 2 * THREADS);
    EXPECT_EQ(counter(&site, "connections"), THREADS + 1);
    while (counter(&site, "open") != 1)
        ;
    site_end(&site);
}
