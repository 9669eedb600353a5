/* SPDX-License-Identifier: MIT */
/* Spans become lanes.
 *
 * A timeline may have thousands of spans and a drawing has hundreds of pixels, so each lane is
 * divided into columns of equal time. A column shows what took at least half of its time. Short
 * blocks would vanish so, and of a worker that computes for 20 us in every 50 ms nothing would be
 * left: therefore each is shown by two columns from its begin, but for those that begin in these
 * and the two behind them. Many short blocks then look like what they are, stripes.
 *
 * How much overlaps is counted from the spans themselves, by going through their begins and ends in
 * the order of time. */
#include "page_lanes.h"

#include "html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = LANE_COMPUTING + LANE_LOOKS, SHORT_COLUMNS = 2 };

/* A begin or an end of a span. */
struct edge {
    int64_t at_ns;
    int change; /* 1 or -1 */
    const struct lab_span *span;
};

static int by_time(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;

    if (x->at_ns != y->at_ns)
        return x->at_ns > y->at_ns ? 1 : -1;
    return x->change - y->change; /* who ends makes room before the next begins */
}

static size_t find_cpu(const struct lane_cpus *cpus, uint32_t cpu)
{
    size_t i = 0;

    while (i + 1 < cpus->count && cpus->at[i] != cpu)
        i++;
    return i;
}

static void add_cpu(struct lane_cpus *cpus, uint32_t cpu)
{
    size_t i = 0;

    while (i < cpus->count && cpus->at[i] < cpu)
        i++;
    if (i == LANE_CPUS_MAX || (i < cpus->count && cpus->at[i] == cpu))
        return;
    if (cpus->count < LANE_CPUS_MAX)
        cpus->count++;
    memmove(&cpus->at[i + 1], &cpus->at[i], (cpus->count - i - 1) * sizeof cpus->at[0]);
    cpus->at[i] = cpu;
}

void lane_add_cpus(struct lane_cpus *cpus, const struct lab_timeline *timeline)
{
    for (size_t i = 0; i < timeline->span_count; i++)
        if (!timeline->spans[i].waiting)
            add_cpu(cpus, timeline->spans[i].cpu);
}

static void count_waiting(struct lane_facts *facts, int waiting)
{
    if (waiting > (int)facts->waiting_at_once)
        facts->waiting_at_once = (uint32_t)waiting;
}

static void count_overlaps(const struct edge *edges, size_t n, const struct lab_timeline *timeline,
                           struct lane_facts *facts)
{
    const struct lab_span *last[LANE_CPUS_MAX] = { NULL };
    struct lane_cpus cpus = { .count = 0 };
    int64_t computing_ns = 0, parallel_ns = 0, before_ns = 0;
    int computing = 0, waiting = 0;

    lane_add_cpus(&cpus, timeline);
    for (size_t i = 0; i < n; i++) {
        const struct edge *edge = &edges[i];
        computing_ns += computing >= 1 ? edge->at_ns - before_ns : 0;
        parallel_ns += computing >= 2 ? edge->at_ns - before_ns : 0;
        before_ns = edge->at_ns;
        if (edge->span->waiting) {
            count_waiting(facts, waiting += edge->change);
            continue;
        }
        computing += edge->change;
        size_t cpu = find_cpu(&cpus, edge->span->cpu);
        if (edge->change > 0) {
            facts->turns += last[cpu] != NULL && last[cpu]->worker != edge->span->worker;
            last[cpu] = edge->span;
        }
    }
    if (timeline->wall_ns > 0) {
        facts->computing = (double)computing_ns / (double)timeline->wall_ns;
        facts->parallel = (double)parallel_ns / (double)timeline->wall_ns;
    }
}

int lane_facts(const struct lab_timeline *timeline, struct lane_facts *ret)
{
    struct edge *edges = calloc(2 * timeline->span_count + 1, sizeof *edges);
    size_t n = 0;

    if (edges == NULL)
        return -ENOMEM;
    *ret = (struct lane_facts){ 0 };
    for (size_t i = 0; i < timeline->span_count; i++) {
        const struct lab_span *span = &timeline->spans[i];
        if (span->end_ns <= span->begin_ns)
            continue;
        edges[n++] = (struct edge){ span->begin_ns, 1, span };
        edges[n++] = (struct edge){ span->end_ns, -1, span };
    }
    qsort(edges, n, sizeof *edges, by_time);
    count_overlaps(edges, n, timeline, ret);
    free(edges);
    return 0;
}

/* A lane while it is made: how much of each column's time is of each look, in columns, and which
 * look begins there. */
struct sum {
    float share[LANE_COLUMNS][SHOWN];
    unsigned char begins[LANE_COLUMNS];
};

static void add_span(struct sum *sum, const struct lab_span *span, unsigned char shown,
                     int64_t end_ns)
{
    double scale = (double)LANE_COLUMNS / (double)end_ns;
    double begin = (double)span->begin_ns * scale, end = (double)span->end_ns * scale;

    if (begin < 0)
        begin = 0;
    if (!(end > begin) || begin >= LANE_COLUMNS)
        return;
    if (sum->begins[(size_t)begin] < shown) /* computing before waiting */
        sum->begins[(size_t)begin] = shown;
    for (size_t c = (size_t)begin; c < LANE_COLUMNS && (double)c < end; c++) {
        double from = begin > (double)c ? begin : (double)c;
        double until = end < (double)c + 1 ? end : (double)c + 1;
        sum->share[c][shown] += (float)(until - from);
    }
}

/* What computed in a column for at least half of its time, or LANE_IDLE. */
static unsigned char most_of(const struct sum *sum, size_t c)
{
    unsigned most = LANE_COMPUTING;
    float computing = 0;

    for (unsigned look = LANE_COMPUTING; look < SHOWN; look++) {
        computing += sum->share[c][look];
        if (sum->share[c][look] > sum->share[c][most])
            most = look;
    }
    return (unsigned char)(computing >= 0.5F ? most : LANE_IDLE);
}

static void choose_all(const struct sum *sum, struct lane *ret)
{
    size_t until = 0, not_before = 0; /* columns, of the last block that is shown for its begin */
    unsigned char begun = LANE_IDLE;

    for (size_t c = 0; c < LANE_COLUMNS; c++) {
        unsigned char most = most_of(sum, c);
        if (most == LANE_IDLE && sum->begins[c] >= LANE_COMPUTING && c >= not_before) {
            begun = sum->begins[c];
            until = c + SHORT_COLUMNS;
            not_before = until + SHORT_COLUMNS;
        }
        if (most != LANE_IDLE)
            ret->columns[c] = most;
        else if (c < until)
            ret->columns[c] = begun;
        else
            ret->columns[c] = sum->share[c][LANE_WAITING] >= 0.3F ? LANE_WAITING : LANE_IDLE;
    }
}

static unsigned char look_of(const struct lane_cpus *page, const struct lab_span *span)
{
    if (span->waiting)
        return LANE_WAITING;
    return (unsigned char)(LANE_COMPUTING + find_cpu(page, span->cpu) % LANE_LOOKS);
}

void lane_of_worker(const struct lab_timeline *timeline, const struct lane_cpus *page,
                    uint32_t worker, int64_t end_ns, struct lane *ret)
{
    struct sum sum = { 0 };

    for (size_t i = 0; i < timeline->span_count; i++) {
        const struct lab_span *span = &timeline->spans[i];
        if (span->worker == worker)
            add_span(&sum, span, look_of(page, span), end_ns);
    }
    choose_all(&sum, ret);
}

void lane_of_cpu(const struct lab_timeline *timeline, const struct lane_cpus *page, uint32_t cpu,
                 int64_t end_ns, struct lane *ret)
{
    size_t index = find_cpu(page, cpu);
    struct sum sum = { 0 };

    for (size_t i = 0; i < timeline->span_count; i++) {
        const struct lab_span *span = &timeline->spans[i];
        if (!span->waiting && find_cpu(page, span->cpu) == index)
            add_span(&sum, span, look_of(page, span), end_ns);
    }
    choose_all(&sum, ret);
}

bool lane_shows(const struct lane *lane, unsigned char shown)
{
    return memchr(lane->columns, shown, LANE_COLUMNS) != NULL;
}

void lane_path(FILE *to, const struct lane *lane, unsigned char shown)
{
    size_t drawn = 0; /* up to where the path has come */

    fputs("M0 0", to);
    for (size_t c = 0; c < LANE_COLUMNS; c++) {
        size_t begin = c;
        while (c < LANE_COLUMNS && lane->columns[c] == shown)
            c++;
        if (c == begin)
            continue;
        html(to, "m%zu 0h%zu", begin - drawn, c - begin);
        drawn = c;
    }
}
