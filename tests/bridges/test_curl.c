/* SPDX-License-Identifier: MIT */
/* libweft-curl against the tool's own site, whose counters say what really happened. */
#include <weft.h>
#include <weft/curl.h>

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the site */

struct site {
    pid_t pid;
    int stdin_end; /* the site ends with it */
    char url[80];
};

static void become_site(int in, int out)
{
    const char *tool = getenv("WEFT_TOOL");

    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    close(in);
    close(out);
    if (tool != NULL)
        execl(tool, tool, "serve", "--port", "0", "--latency", "0", "--until-eof", (char *)NULL);
    _exit(127);
}

static struct site site_start(void)
{
    struct site site;
    int in[2];
    int out[2];

    if (getenv("WEFT_TOOL") == NULL)
        SKIP("WEFT_TOOL does not name the tool");
    /* libcurl, and what it stands on, may keep descriptors for good. */
    EXPECT_EQ(weft_curl_init(), 0);
    DESCRIPTORS_MAY_STAY();
    EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    site.pid = fork();
    if (site.pid == 0)
        become_site(in[0], out[1]);
    EXPECT_GT(site.pid, 0);
    close(in[0]);
    close(out[1]);
    FILE *lines = fdopen(out[0], "r");
    EXPECT_EQ(fscanf(lines, "Serving %79s", site.url), 1);
    fclose(lines);
    site.stdin_end = in[1];
    return site;
}

static void site_end(struct site *site)
{
    int status;

    close(site->stdin_end);
    EXPECT_EQ(waitpid(site->pid, &status, 0), site->pid);
    EXPECT_EQ(status, 0);
}

/* ---- transfers */

struct text {
    char bytes[8192];
    size_t used;
};

static size_t collect(char *data, size_t one, size_t n, void *ctx)
{
    struct text *text = ctx;

    (void)one;
    if (text->used + n >= sizeof text->bytes)
        return 0;
    memcpy(text->bytes + text->used, data, n);
    text->used += n;
    text->bytes[text->used] = '\0';
    return n;
}

static size_t drop(const char *data, size_t one, size_t n, void *ctx)
{
    (void)data;
    (void)ctx;
    return one * n;
}

static void aim(CURL *easy, const struct site *site, const char *path)
{
    char url[256];

    snprintf(url, sizeof url, "%s%s", site->url, path);
    curl_easy_setopt(easy, CURLOPT_URL, url);
}

static CURL *easy_for(const struct site *site, const char *path)
{
    CURL *easy = curl_easy_init();

    EXPECT_TRUE(easy != NULL);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    aim(easy, site, path);
    return easy;
}

static void expect_fetched(CURL *easy)
{
    CURLcode code = CURL_LAST;
    long status = 0;

    EXPECT_EQ(weft_curl_perform(easy, &code, WEFT_FOREVER), 0);
    EXPECT_EQ(code, CURLE_OK);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    EXPECT_EQ(status, 200);
}

/* One of the site's counters. */
static long counter(const struct site *site, const char *name)
{
    struct text text = { .used = 0 };
    char quoted[40];
    CURL *easy = easy_for(site, "stats");

    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &text);
    expect_fetched(easy);
    curl_easy_cleanup(easy);
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *found = strstr(text.bytes, quoted);
    EXPECT_TRUE(found != NULL);
    return strtol(found + strlen(quoted), NULL, 10);
}

TEST(perform_gives_what_the_transfer_gave)
{
    struct site site = site_start();
    struct text text = { .used = 0 };
    CURL *easy = easy_for(&site, "page/7?bytes=14");

    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &text);
    expect_fetched(easy);
    EXPECT_STR(text.bytes, "page 7\npage 7\n");
    curl_easy_cleanup(easy);
    site_end(&site);
}

TEST(perform_leaves_failures_of_the_transfer_to_its_code)
{
    struct site site = site_start();
    CURL *easy = easy_for(&site, "drop");
    CURLcode code = CURLE_OK;

    EXPECT_EQ(weft_curl_perform(easy, &code, WEFT_FOREVER), 0);
    EXPECT_EQ(code, CURLE_GOT_NOTHING);
    aim(easy, &site, "page/1");
    expect_fetched(easy);
    curl_easy_cleanup(easy);
    site_end(&site);
}

TEST(perform_refuses_what_is_no_free_handle)
{
    struct site site = site_start();
    CURL *easy = easy_for(&site, "page/1");
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
    site_end(&site);
}

TEST(perform_uses_the_connections_of_other_handles_in_its_thread)
{
    struct site site = site_start();

    for (int i = 0; i < 20; i++) {
        CURL *easy = easy_for(&site, "page/1");
        expect_fetched(easy);
        curl_easy_cleanup(easy);
    }
    EXPECT_EQ(counter(&site, "requests"), 20);
    EXPECT_EQ(counter(&site, "connections"), 1);
    site_end(&site);
}

TEST(perform_takes_over_a_handle_of_curl_easy_perform)
{
    struct site site = site_start();
    CURL *easy = easy_for(&site, "page/1");

    EXPECT_EQ(curl_easy_perform(easy), CURLE_OK);
    expect_fetched(easy);
    curl_easy_cleanup(easy);
    site_end(&site);
}

TEST(idle_connections_are_bounded)
{
    struct site site = site_start();
    char host[64];
    int port = 0;

    EXPECT_EQ(sscanf(site.url, "http://127.0.0.1:%d/", &port), 1);
    for (int i = 0; i < 3 * WEFT_CURL_IDLE_MAX; i++) {
        CURL *easy = easy_for(&site, "");
        snprintf(host, sizeof host, "host-%d.test:%d:127.0.0.1", i, port);
        struct curl_slist *resolve = curl_slist_append(NULL, host);
        curl_easy_setopt(easy, CURLOPT_RESOLVE, resolve);
        snprintf(host, sizeof host, "http://host-%d.test:%d/page/1", i, port);
        curl_easy_setopt(easy, CURLOPT_URL, host);
        expect_fetched(easy);
        curl_easy_cleanup(easy);
        curl_slist_free_all(resolve);
    }
    EXPECT_EQ(counter(&site, "connections"), 3 * WEFT_CURL_IDLE_MAX + 1);
    /* The one that asks is new, and another is closed when it is done; the site may be late in
       seeing that one has gone. */
    while (counter(&site, "open") > WEFT_CURL_IDLE_MAX + 1)
        ;
    site_end(&site);
}

TEST(release_closes_the_connections_of_the_thread)
{
    struct site site = site_start();
    CURL *easy = easy_for(&site, "page/1");

    expect_fetched(easy);
    weft_curl_release();
    weft_curl_release();
    EXPECT_EQ(counter(&site, "connections"), 2);
    while (counter(&site, "open") != 1)
        ;
    curl_easy_cleanup(easy);
    site_end(&site);
}

/* ---- ending */

TEST(perform_ends_at_the_deadline_and_the_handle_works_again)
{
    struct site site = site_start();
    CURL *easy = easy_for(&site, "slow/3600000");
    CURLcode code = CURL_LAST;

    for (int i = 0; i < 3; i++)
        EXPECT_EQ(weft_curl_perform(easy, &code, weft_after(20 * WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_curl_perform(easy, &code, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(code, CURL_LAST);
    aim(easy, &site, "page/1");
    expect_fetched(easy);
    curl_easy_cleanup(easy);
    site_end(&site);
}

TEST(perform_ends_at_the_deadline_of_a_scope_which_says_so)
{
    struct site site = site_start();
    CURL *easy = easy_for(&site, "slow/3600000");
    CURLcode code;
    weft_scope outer;
    weft_scope inner;

    weft_scope_enter(&outer, weft_after(20 * WEFT_MS), 0);
    weft_scope_enter(&inner, WEFT_FOREVER, 0);
    EXPECT_EQ(weft_curl_perform(easy, &code, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&inner), 0);
    EXPECT_EQ(weft_scope_leave(&outer), -ETIMEDOUT);
    aim(easy, &site, "page/1");
    expect_fetched(easy);
    curl_easy_cleanup(easy);
    site_end(&site);
}

/* A call that fetches what the argument names. Returns what weft_curl_perform() did. */
static int fetch(weft_call *call)
{
    CURL *easy = curl_easy_init();
    CURLcode code = CURLE_OK;

    if (easy == NULL)
        return -ENOMEM;
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(easy, CURLOPT_URL, (const char *)call->arg);
    int rc = weft_curl_perform(easy, &code, WEFT_FOREVER);
    curl_easy_cleanup(easy);
    return rc < 0 ? rc : (int)code;
}

static void cancel_in_flight(const struct site *site, weft_kind kind)
{
    enum { CALLS = 3 };
    weft_group *group;
    weft_future *futures[CALLS];
    char url[128];

    EXPECT_EQ(weft_group_open(&group, kind, NULL), 0);
    snprintf(url, sizeof url, "%sslow/3600000", site->url);
    for (int i = 0; i < CALLS; i++)
        EXPECT_EQ(weft_group_submit(group, fetch, url, WEFT_STRING, &futures[i], WEFT_FOREVER), 0);
    while (counter(site, "in_flight") < CALLS)
        ;
    weft_group_cancel(group);
    for (int i = 0; i < CALLS; i++) {
        EXPECT_EQ(weft_future_wait(futures[i], WEFT_FOREVER), -ECHILD);
        EXPECT_EQ(weft_future_outcome(futures[i])->how, WEFT_CANCELLED);
        EXPECT_EQ(weft_future_outcome(futures[i])->status, -ECANCELED);
        weft_future_close(futures[i]);
    }
    weft_group_close(group);
}

TEST(a_cancellation_ends_a_transfer_in_a_thread)
{
    struct site site = site_start();

    cancel_in_flight(&site, WEFT_THREADS);
    site_end(&site);
}

TEST(a_cancellation_ends_a_transfer_in_a_process)
{
    EXPECT_EQ(weft_init(), 0);
    struct site site = site_start();

    cancel_in_flight(&site, WEFT_PROCESSES);
    site_end(&site);
}

static weft_event begun = WEFT_EVENT_INIT;

/* Performs while cancelled, then after acknowledging, and inside a shield. */
static int perform_cancelled(weft_call *call)
{
    const struct site *site = call->arg;
    CURL *easy = easy_for(site, "page/1");
    CURLcode code;
    weft_scope shield;

    weft_event_set(&begun);
    EXPECT_EQ(weft_sleep_until(WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_curl_perform(easy, &code, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_curl_perform(easy, &code, WEFT_FOREVER), -ECANCELED);
    weft_scope_enter(&shield, WEFT_FOREVER, WEFT_SHIELD);
    expect_fetched(easy);
    EXPECT_EQ(weft_scope_leave(&shield), 0);
    EXPECT_TRUE(weft_uncancel());
    expect_fetched(easy);
    curl_easy_cleanup(easy);
    return 0;
}

TEST(a_cancelled_strand_starts_no_transfer_unless_shielded)
{
    struct site site = site_start();
    weft_group *group;

    EXPECT_EQ(weft_group_open(&group, WEFT_THREADS, NULL), 0);
    EXPECT_EQ(weft_group_start(group, perform_cancelled, &site, sizeof site), 0);
    EXPECT_EQ(weft_event_wait(&begun, WEFT_FOREVER), 0);
    weft_group_cancel(group);
    weft_group_close(group);
    EXPECT_EQ(counter(&site, "requests"), 2);
    site_end(&site);
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

TEST(a_callback_may_perform_another_transfer)
{
    struct site site = site_start();
    struct nested nested = { &site, 0 };
    CURL *easy = easy_for(&site, "page/1");

    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, fetch_another);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &nested);
    expect_fetched(easy);
    EXPECT_EQ(nested.times, 1);
    EXPECT_EQ(counter(&site, "requests"), 2);
    curl_easy_cleanup(easy);
    site_end(&site);
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
