/* SPDX-License-Identifier: MIT */
/* Which function answers which path: one table, from which the front page and --help are made too.
 */
#include "routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reply.h"
#include "request.h"

static void answer_stats(struct exchange *x);
static void answer_reset(struct exchange *x);
static void answer_health(struct exchange *x);
static void answer_front(struct exchange *x);
static void answer_other(struct exchange *x);

static const struct route routes[] = {
    { "/page/", "page", "/page/N", "\"page N\" over and over; ?ms= ?bytes=", answer_page, 0 },
    { "/slow/", "slow", "/slow/MS", "answers after MS milliseconds", answer_slow, 0 },
    { "/big/", "big", "/big/BYTES", "a long body; ?chunked=1: of unknown length", answer_big, 0 },
    { "/drip", "drip", "/drip", "?pieces= of ?bytes= in all, ?ms= apart, unknown length",
      answer_drip, ROUTE_OWN_MS },
    { "/status/", "status", "/status/CODE", "that status, 200 to 599; ?retry_after=", answer_status,
      0 },
    { "/redirect/", "redirect", "/redirect/N", "N hops to /page/0; ?to= ?code=; or /redirect/loop",
      answer_redirect, 0 },
    { "/flaky/", "flaky", "/flaky/N",
      "fails N times, then answers; ?key= ?status= ?retry_after=", answer_flaky, 0 },
    { "/drop", "drop", "/drop", "closes without an answer; ?reset=1: by a TCP reset", answer_drop,
      0 },
    { "/drop/body", "drop_body", "/drop/body", "closes after half of ?bytes=", answer_drop_body,
      0 },
    { "/echo", "echo", "/echo", "the request's headers", answer_echo, 0 },
    { "/files/", "files", "/files/PATH", "the file DIR/PATH of --root DIR", answer_file, 0 },
    { "/stats", "stats", "/stats", "counters as JSON", answer_stats, ROUTE_CONTROL },
    { "/stats/reset", "reset", "/stats/reset", "starts counting anew, also for /flaky",
      answer_reset, ROUTE_CONTROL },
    { "/healthz", "healthz", "/healthz", "\"ok\"", answer_health, ROUTE_CONTROL },
    { "/", "front", "/", "this list; with --root, DIR/index.html", answer_front, 0 },
    { "", "other", "/PATH", "with --root, the file DIR/PATH; else 404", answer_other, 0 },
};

#define ROUTES (sizeof routes / sizeof routes[0])
_Static_assert(ROUTES <= STATS_ROUTES_MAX, "each route has a counter");

static bool matches(const struct route *route, const char *path, const char **ret_rest)
{
    size_t length = strlen(route->path);
    bool prefix = length > 1 && route->path[length - 1] == '/';

    if (strncmp(route->path, path, length) != 0)
        return false;
    *ret_rest = path + length;
    return prefix ? path[length] != '\0' : path[length] == '\0';
}

void route_find(struct exchange *x)
{
    for (size_t i = 0; i < ROUTES; i++) {
        if (matches(&routes[i], x->path, &x->rest)) {
            x->route = &routes[i];
            return;
        }
    }
    x->route = &routes[ROUTES - 1];
    x->rest = x->path;
}

void route_begin(struct exchange *x)
{
    if ((x->route->flags & ROUTE_CONTROL) != 0)
        return;
    weft_lock_lock(&x->site->lock);
    stats_request_begins(&x->site->stats, (size_t)(x->route - routes));
    weft_lock_release(&x->site->lock);
}

void route_end(struct exchange *x)
{
    if ((x->route->flags & ROUTE_CONTROL) != 0)
        return;
    weft_lock_lock(&x->site->lock);
    stats_request_ends(&x->site->stats);
    weft_lock_release(&x->site->lock);
}

/* ?ms= delays every answer, also failures, unless the route says otherwise. */
static void apply_delay(struct exchange *x)
{
    uint64_t ms;

    if ((x->route->flags & (ROUTE_CONTROL | ROUTE_OWN_MS)) != 0 || query_text(x, "ms") == NULL)
        return;
    if (query_number(x, "ms", DELAY_MS_MAX, 0, &ms) == 0)
        x->delay_ns = (int64_t)ms * 1000000;
    else
        x->delay_ns = 0;
}

void site_answer(struct exchange *x)
{
    const char *method = x->request->method;

    if (!x->head && strcmp(method, "GET") != 0) {
        reply_text(x, HTTP_STATUS_METHOD_NOT_ALLOWED, "%s: only GET and HEAD are served", method);
        reply_header(x, "Allow", "GET, HEAD");
    } else if (x->request->has_nul) {
        reply_text(x, HTTP_STATUS_BAD_REQUEST, "%%00 has no place in an address");
    } else {
        x->route->answer(x);
        apply_delay(x);
    }
}

void site_describe(char *text, size_t text_size)
{
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < ROUTES && n < text_size; i++)
        n += (size_t)snprintf(text + n, text_size - n, "  %-14s%s\n", routes[i].form,
                              routes[i].help);
}

static void answer_stats(struct exchange *x)
{
    const char *names[ROUTES];
    char *text = malloc(STATS_TEXT_MAX);
    size_t counted = 0;

    /* Control routes come with a counter that stays at zero; they are left out. */
    weft_lock_lock(&x->site->lock);
    const struct stats all = x->site->stats;
    weft_lock_release(&x->site->lock);
    struct stats shown = all;
    for (size_t i = 0; i < ROUTES; i++) {
        if ((routes[i].flags & ROUTE_CONTROL) != 0)
            continue;
        names[counted] = routes[i].name;
        shown.routes[counted++] = all.routes[i];
    }
    if (text != NULL)
        stats_format(&shown, names, counted, text, STATS_TEXT_MAX);
    reply_bytes(x, HTTP_STATUS_OK, "application/json", text, text != NULL ? strlen(text) : 0);
}

static void answer_reset(struct exchange *x)
{
    weft_lock_lock(&x->site->lock);
    stats_reset(&x->site->stats);
    flaky_forget(&x->site->flaky);
    weft_lock_release(&x->site->lock);
    reply_text(x, HTTP_STATUS_OK, "ok");
}

static void answer_health(struct exchange *x)
{
    reply_text(x, HTTP_STATUS_OK, "ok");
}

static void answer_front(struct exchange *x)
{
    char list[ROUTES_TEXT_MAX];

    if (x->site->root >= 0) {
        answer_file(x);
        return;
    }
    site_describe(list, sizeof list);
    reply_text(x, HTTP_STATUS_OK, "weft serve, a test site\n\n%s", list);
}

static void answer_other(struct exchange *x)
{
    if (x->site->root >= 0)
        answer_file(x);
    else
        reply_text(x, HTTP_STATUS_NOT_FOUND, "%s: no such page; / lists what there is", x->path);
}
