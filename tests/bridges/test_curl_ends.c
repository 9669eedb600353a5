/* SPDX-License-Identifier: MIT */
/* libweft-curl: transfers that a deadline or a cancellation ends, in strands of every kind. */
#include "site.h"

#include <errno.h>
#include <stdio.h>

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
