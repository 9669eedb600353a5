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

/* ---- bodies that hold for a thread and for a task */

struct at_site {
    const struct site *site;
    void (*body)(const struct site *site);
};

static int run_body(weft_call *call)
{
    const struct at_site *at = call->arg;

    at->body(at->site);
    return 0;
}

static void run_at_site(weft_kind kind, void (*body)(const struct site *site))
{
    struct site site = site_start();
    struct at_site at = { &site, body };
    weft_group *group;

    EXPECT_EQ(weft_group_open(&group, kind, NULL), 0);
    EXPECT_EQ(weft_group_start(group, run_body, &at, sizeof at), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
    site_end(&site);
}

#define TEST_AT_SITE(name)                                                                         \
    static void name(const struct site *site);                                                     \
    TEST(name##_in_a_thread)                                                                       \
    {                                                                                              \
        run_at_site(WEFT_THREADS, name);                                                           \
    }                                                                                              \
    TEST(name##_in_a_task)                                                                         \
    {                                                                                              \
        run_at_site(WEFT_TASKS, name);                                                             \
    }                                                                                              \
    static void name(const struct site *site)

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

/* ---- ending */

TEST_AT_SITE(perform_ends_at_the_deadline_and_the_handle_works_again)
{
    CURL *easy = easy_for(site, "slow/3600000");
    CURLcode code = CURL_LAST;

    for (int i = 0; i < 3; i++)
        EXPECT_EQ(weft_curl_perform(easy, &code, weft_after(20 * WEFT_MS)), -ETIMEDOUT);
    EXPECT_EQ(weft_curl_perform(easy, &code, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(code, CURL_LAST);
    aim(easy, site, "page/1");
    expect_fetched(easy);
    curl_easy_cleanup(easy);
}

TEST_AT_SITE(perform_ends_at_the_deadline_of_a_scope_which_says_so)
{
    CURL *easy = easy_for(site, "slow/3600000");
    CURLcode code;
    weft_scope outer;
    weft_scope inner;

    weft_scope_enter(&outer, weft_after(20 * WEFT_MS), 0);
    weft_scope_enter(&inner, WEFT_FOREVER, 0);
    EXPECT_EQ(weft_curl_perform(easy, &code, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&inner), 0);
    EXPECT_EQ(weft_scope_leave(&outer), -ETIMEDOUT);
    aim(easy, site, "page/1");
    expect_fetched(easy);
    curl_easy_cleanup(easy);
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

TEST(a_cancellation_ends_a_transfer_in_a_task)
{
    struct site site = site_start();

    cancel_in_flight(&site, WEFT_TASKS);
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

static void start_cancelled(weft_kind kind)
{
    struct site site = site_start();
    weft_group *group;

    EXPECT_EQ(weft_group_open(&group, kind, NULL), 0);
    EXPECT_EQ(weft_group_start(group, perform_cancelled, &site, sizeof site), 0);
    EXPECT_EQ(weft_event_wait(&begun, WEFT_FOREVER), 0);
    weft_group_cancel(group);
    weft_group_close(group);
    EXPECT_EQ(counter(&site, "requests"), 2);
    site_end(&site);
}

TEST(a_cancelled_thread_starts_no_transfer_unless_shielded)
{
    start_cancelled(WEFT_THREADS);
}

TEST(a_cancelled_task_starts_no_transfer_unless_shielded)
{
    start_cancelled(WEFT_TASKS);
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

/* ---- many tasks of one worker */

/* A site, and one worker for all tasks, so that they share an engine. */
static struct site site_of_one_worker(void)
{
    EXPECT_EQ(setenv("WEFT_WORKERS", "1", 1), 0);
    return site_start();
}

struct fetching {
    char url[128];
    int64_t timeout_ns;                                                   /* INT64_MAX: for ever */
    size_t (*on_body)(const char *data, size_t one, size_t n, void *ctx); /* NULL: drop() */
    int times;
};

/* Fetches some times. Returns what the last weft_curl_perform() did, or what was wrong. */
static int fetch_so(weft_call *call)
{
    const struct fetching *so = call->arg;
    CURL *easy = curl_easy_init();
    CURLcode code = CURLE_OK;
    int rc = 0;

    if (easy == NULL)
        return -ENOMEM;
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, so->on_body != NULL ? so->on_body : drop);
    curl_easy_setopt(easy, CURLOPT_URL, so->url);
    for (int i = 0; rc == 0 && code == CURLE_OK && i < so->times; i++)
        rc = weft_curl_perform(
            easy, &code, so->timeout_ns == INT64_MAX ? WEFT_FOREVER : weft_after(so->timeout_ns));
    curl_easy_cleanup(easy);
    return rc < 0 ? rc : -(int)code;
}

static struct fetching fetching(const struct site *site, const char *path, int times)
{
    struct fetching so = { .timeout_ns = INT64_MAX, .times = times };

    snprintf(so.url, sizeof so.url, "%s%s", site->url, path);
    return so;
}

static weft_group *tasks_open(void)
{
    weft_group *group;

    EXPECT_EQ(weft_group_open(&group, WEFT_TASKS, &(weft_options){ .on_failure = WEFT_GO_ON }), 0);
    return group;
}

static weft_future *start_fetching(weft_group *group, const struct fetching *so)
{
    weft_future *future;

    EXPECT_EQ(weft_group_submit(group, fetch_so, so, sizeof *so, &future, WEFT_FOREVER), 0);
    return future;
}

/* Waits for the call and takes the future. Returns the call's status. */
static int status_of(weft_future *future)
{
    (void)!weft_future_wait(future, WEFT_FOREVER);
    int status = weft_future_outcome(future)->status;
    weft_future_close(future);
    return status;
}

enum { TASKS_TOGETHER = 100 };

static weft_barrier all_there;

/* Begins each of its fetches together with all others. */
static int fetch_together(weft_call *call)
{
    const struct site *site = call->arg;
    CURL *easy = easy_for(site, "slow/20");

    for (int i = 0; i < 5; i++) {
        EXPECT_GE(weft_barrier_wait(&all_there, WEFT_FOREVER), 0);
        expect_fetched(easy);
    }
    curl_easy_cleanup(easy);
    return 0;
}

TEST(tasks_share_the_connections_of_their_worker_however_many_there_are)
{
    struct site site = site_of_one_worker();
    weft_group *group = tasks_open();

    weft_barrier_init(&all_there, TASKS_TOGETHER, NULL, NULL);
    for (int i = 0; i < TASKS_TOGETHER; i++)
        EXPECT_EQ(weft_group_start(group, fetch_together, &site, sizeof site), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
    EXPECT_EQ(counter(&site, "requests"), 5 * TASKS_TOGETHER);
    EXPECT_LE(counter(&site, "connections"), TASKS_TOGETHER + 1);
    site_end(&site);
}

TEST(a_task_that_leads_can_be_cancelled_and_the_others_go_on)
{
    enum { TASKS = 5 };
    struct site site = site_of_one_worker();
    struct fetching late = fetching(&site, "slow/3600000", 1);
    struct fetching soon = fetching(&site, "page/1", 3);
    weft_group *group = tasks_open();
    weft_future *futures[TASKS];

    for (int i = 0; i < TASKS; i++) {
        futures[i] = start_fetching(group, &late);
        while (counter(&site, "in_flight") < i + 1)
            ;
    }
    /* The one that has been there longest leads. */
    for (int i = 0; i < TASKS; i++) {
        weft_future_cancel(futures[i]);
        EXPECT_EQ(status_of(futures[i]), -ECANCELED);
        for (int j = i + 1; j < TASKS; j++)
            EXPECT_EQ(weft_future_wait(futures[j], WEFT_NOW), -ETIMEDOUT);
        EXPECT_EQ(status_of(start_fetching(group, &soon)), 0);
    }
    weft_group_close(group);
    site_end(&site);
}

TEST(each_task_ends_at_its_own_deadline_whoever_leads)
{
    enum { TASKS = 40 };
    struct site site = site_of_one_worker();
    struct fetching late = fetching(&site, "slow/3600000", 1);
    struct fetching soon = fetching(&site, "slow/3", 10);
    weft_group *group = tasks_open();
    weft_future *lates[TASKS];
    weft_future *soons[TASKS];

    for (int i = 0; i < TASKS; i++) {
        late.timeout_ns = (i * 7 % TASKS) * WEFT_MS;
        lates[i] = start_fetching(group, &late);
        soons[i] = start_fetching(group, &soon);
    }
    for (int i = 0; i < TASKS; i++) {
        EXPECT_EQ(status_of(lates[i]), -ETIMEDOUT);
        EXPECT_EQ(status_of(soons[i]), 0);
    }
    weft_group_close(group);
    site_end(&site);
}

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13; /* xorshift32 */
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Starts tasks, cancels each at some moment, and looks that each was either cancelled or done. */
static void cancel_at_random(const struct site *site, uint32_t *random)
{
    enum { TASKS = 50 };
    const char *const paths[] = { "page/1", "slow/1", "slow/2", "slow/5", "page/2?bytes=100000" };
    weft_group *group = tasks_open();
    weft_future *futures[TASKS];

    for (int i = 0; i < TASKS; i++) {
        struct fetching so = fetching(site, paths[next_random(random) % 5], 1000000);
        futures[i] = start_fetching(group, &so);
        if (next_random(random) % 4 == 0)
            weft_future_cancel(futures[next_random(random) % (uint32_t)(i + 1)]);
    }
    for (int i = 0; i < TASKS; i++) {
        if (next_random(random) % 2 == 0)
            (void)weft_sleep_until(weft_after(next_random(random) % (2 * WEFT_MS)));
        weft_future_cancel(futures[i]);
    }
    for (int i = 0; i < TASKS; i++)
        EXPECT_EQ(status_of(futures[i]), -ECANCELED);
    weft_group_close(group);
}

TEST(tasks_are_cancelled_at_any_moment)
{
    struct site site = site_start(); /* with all the workers that there are */
    uint32_t random = 1;

    for (int round = 0; round < (HARNESS_SANITIZED ? 5 : 20); round++)
        cancel_at_random(&site, &random);
    while (counter(&site, "in_flight") != 0)
        ;
    site_end(&site);
}

/* ---- callbacks that park */

static weft_event inside, go_on;
static int waited; /* what the callback's wait returned */

static size_t wait_inside(const char *data, size_t one, size_t n, void *ctx)
{
    (void)data;
    (void)ctx;
    weft_event_set(&inside);
    waited = weft_event_wait(&go_on, WEFT_FOREVER);
    return one * n;
}

TEST(while_a_callback_is_parked_other_tasks_of_the_worker_begin_and_end)
{
    struct site site = site_of_one_worker();
    struct fetching parked = fetching(&site, "page/1", 1);
    struct fetching other = fetching(&site, "page/2", 3);
    weft_group *group = tasks_open();

    parked.on_body = wait_inside;
    weft_future *future = start_fetching(group, &parked);
    EXPECT_EQ(weft_event_wait(&inside, WEFT_FOREVER), 0);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(status_of(start_fetching(group, &other)), 0);
    EXPECT_EQ(weft_future_wait(future, WEFT_NOW), -ETIMEDOUT);
    weft_event_set(&go_on);
    EXPECT_EQ(status_of(future), 0);
    EXPECT_EQ(waited, 0);
    weft_group_close(group);
    site_end(&site);
}

TEST(a_cancellation_of_the_leader_is_not_one_of_the_callback_that_it_runs)
{
    struct site site = site_of_one_worker();
    struct fetching late = fetching(&site, "slow/3600000", 1);
    struct fetching parked = fetching(&site, "page/1", 1);
    weft_group *group = tasks_open();
    weft_future *leader = start_fetching(group, &late);

    while (counter(&site, "in_flight") < 1)
        ;
    parked.on_body = wait_inside;
    weft_future *follower = start_fetching(group, &parked);
    EXPECT_EQ(weft_event_wait(&inside, WEFT_FOREVER), 0);
    weft_future_cancel(leader);
    weft_event_set(&go_on);
    EXPECT_EQ(status_of(leader), -ECANCELED);
    EXPECT_EQ(status_of(follower), 0);
    EXPECT_EQ(waited, 0);
    weft_group_close(group);
    site_end(&site);
}

/* Has another task fetch, and waits for it. */
static size_t let_another_fetch(const char *data, size_t one, size_t n, void *ctx)
{
    const struct site *site = ctx;
    struct fetching so = fetching(site, "page/2", 2);
    weft_group *group = tasks_open();

    (void)data;
    waited = status_of(start_fetching(group, &so));
    weft_group_close(group);
    return one * n;
}

static void callback_may_wait_for_a_task(const struct site *site)
{
    CURL *easy = easy_for(site, "page/1");

    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, let_another_fetch);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, (void *)(uintptr_t)site);
    waited = -1;
    expect_fetched(easy);
    EXPECT_EQ(waited, 0);
    curl_easy_cleanup(easy);
}

TEST(a_callback_may_wait_for_a_transfer_of_another_task)
{
    EXPECT_EQ(setenv("WEFT_WORKERS", "1", 1), 0);
    run_at_site(WEFT_TASKS, callback_may_wait_for_a_task);
}
