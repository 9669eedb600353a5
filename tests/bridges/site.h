/* SPDX-License-Identifier: MIT */
/* What the tests of libweft-curl have in common: the tool's own site, whose counters say what
 * really happened, and transfers from it. */
#ifndef SITE_H
#define SITE_H

#include <weft.h>
#include <weft/curl.h>

#include "harness.h"

#include <sys/types.h>

/* ---- the site */

struct site {
    pid_t pid;
    int stdin_end; /* the site ends with it */
    char url[80];
};

struct site site_start(void);
void site_end(struct site *site);

/* A site, and one worker for all tasks, so that they share an engine. */
struct site site_of_one_worker(void);

/* One of the site's counters. */
long counter(const struct site *site, const char *name);

/* ---- bodies that hold for a thread and for a task */

/* Starts a site and runs the body in a strand of that kind. */
void run_at_site(weft_kind kind, void (*body)(const struct site *site));

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

/* Callbacks for bodies: into a struct text; nowhere. */
size_t collect(char *data, size_t one, size_t n, void *ctx);
size_t drop(const char *data, size_t one, size_t n, void *ctx);

/* Sets the URL: a path of the site. */
void aim(CURL *easy, const struct site *site, const char *path);

/* A handle for that path, whose body is dropped. */
CURL *easy_for(const struct site *site, const char *path);

void expect_fetched(CURL *easy);

/* A call that fetches the URL that the argument is. Returns what weft_curl_perform() did. */
int fetch(weft_call *call);

#endif
