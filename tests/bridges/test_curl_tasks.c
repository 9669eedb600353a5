/* SPDX-License-Identifier: MIT */
/* libweft-curl: many tasks of one worker, whose transfers are driven together. */
#include "site.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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
