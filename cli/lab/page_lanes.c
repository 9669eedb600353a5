/* SPDX-License-Identifier: MIT */
/* Spans become lanes.
 *
 * A timeline may have thousands of spans and a drawing has hundreds of pixels, so each lane is
 * divided into columns of equal time. A column shows what took at least half of its time. Short
 * blocks would vanish so, and of a worker that computes for 20 us in every 50 ms nothing would be
 * left: therefore the column in which a block begins shows it, too, unless the column before does
 * so for the same reason. Many short blocks then look like what they are, stripes.
 *
 * How much overlaps is counted from the spans themselves, by going through their begins and ends in
 * the order of time. */
#include "page_lanes.h"

#include "html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = LANE_COMPUTING + LANE_LOOKS };

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

static size_t find_cpu(const struct lane_facts *facts, uint32_t cpu)
{
    size_t i = 0;

    while (i + 1 < facts->cpu_count && facts->cpus[i] != cpu)
        i++;
    return i;
}

/* Keeps them in order; the lowest if there are too many. */
static void add_cpu(struct lane_facts *facts, uint32_t cpu)
{
    size_t at = 0;

    while (at < facts->cpu_count && facts->cpus[at] < cpu)
        at++;
    if (at == LANE_CPUS_MAX || (at < facts->cpu_count && facts->cpus[at] == cpu))
        return;
    if (facts->cpu_count < LANE_CPUS_MAX)
        facts->cpu_count++;
    memmove(&facts->cpus[at + 1], &facts->cpus[at],
            (facts->cpu_count - at - 1) * sizeof facts->cpus[0]);
    facts->cpus[at] = cpu;
}

static void count_overlaps(const struct edge *edges, size_t n, int64_t wall_ns,
                           struct lane_facts *facts)
{
    const struct lab_span *last[LANE_CPUS_MAX] = { NULL };
    int64_t computing_ns = 0, parallel_ns = 0, before_ns = 0;
    int computing = 0, waiting = 0;

    for (size_t i = 0; i < n; i++) {
        const struct edge *edge = &edges[i];
        computing_ns += computing >= 1 ? edge->at_ns - before_ns : 0;
        parallel_ns += computing >= 2 ? edge->at_ns - before_ns : 0;
        before_ns = edge->at_ns;
        if (edge->span->waiting) {
            waiting += edge->change;
            if (waiting > (int)facts->waiting_at_once)
                facts->waiting_at_once = (uint32_t)waiting;
            continue;
        }
        computing += edge->change;
        size_t cpu = find_cpu(facts, edge->span->cpu);
        if (edge->change > 0) {
            facts->turns += last[cpu] != NULL && last[cpu]->worker != edge->span->worker;
            last[cpu] = edge->span;
        }
    }
    if (wall_ns > 0) {
        facts->computing = (double)computing_ns / (double)wall_ns;
        facts->parallel = (double)parallel_ns / (double)wall_ns;
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
        if (!span->waiting)
            add_cpu(ret, span->cpu);
        if (span->end_ns <= span->begin_ns)
            continue;
        edges[n++] = (struct edge){ span->begin_ns, 1, span };
        edges[n++] = (struct edge){ span->end_ns, -1, span };
    }
    qsort(edges, n, sizeof *edges, by_time);
    count_overlaps(edges, n, timeline->wall_ns, ret);
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

    if (!(end > begin) || begin < 0 || begin >= LANE_COLUMNS)
        return;
    if (sum->begins[(size_t)begin] < shown) /* computing before waiting */
        sum->begins[(size_t)begin] = shown;
    for (size_t c = (size_t)begin; c < LANE_COLUMNS && (double)c < end; c++) {
        double from = begin > (double)c ? begin : (double)c;
        double until = end < (double)c + 1 ? end : (double)c + 1;
        sum->share[c][shown] += (float)(until - from);
    }
}

static unsigned char choose(const struct sum *sum, size_t c, bool *by_begin)
{
    unsigned char most = LANE_COMPUTING;
    float computing = 0;
    bool begin_before = *by_begin;

    *by_begin = false;
    for (unsigned char look = LANE_COMPUTING; look < SHOWN; look++) {
        computing += sum->share[c][look];
        if (sum->share[c][look] > sum->share[c][most])
            most = look;
    }
    if (computing >= 0.5F)
        return most;
    if (sum->begins[c] >= LANE_COMPUTING && !begin_before) {
        *by_begin = true;
        return sum->begins[c];
    }
    return computing + sum->share[c][LANE_WAITING] >= 0.5F ? LANE_WAITING : LANE_IDLE;
}

static void choose_all(const struct sum *sum, struct lane *ret)
{
    bool by_begin = false;

    for (size_t c = 0; c < LANE_COLUMNS; c++)
        ret->columns[c] = choose(sum, c, &by_begin);
}

static unsigned char look_of(const struct lane_facts *facts, const struct lab_span *span)
{
    if (span->waiting)
        return LANE_WAITING;
    return (unsigned char)(LANE_COMPUTING + find_cpu(facts, span->cpu) % LANE_LOOKS);
}

void lane_of_worker(const struct lab_timeline *timeline, const struct lane_facts *facts,
                    uint32_t worker, int64_t end_ns, struct lane *ret)
{
    struct sum sum = { 0 };

    for (size_t i = 0; i < timeline->span_count; i++) {
        const struct lab_span *span = &timeline->spans[i];
        if (span->worker == worker)
            add_span(&sum, span, look_of(facts, span), end_ns);
    }
    choose_all(&sum, ret);
}

void lane_of_cpu(const struct lab_timeline *timeline, const struct lane_facts *facts, size_t index,
                 int64_t end_ns, struct lane *ret)
{
    struct sum sum = { 0 };

    for (size_t i = 0; i < timeline->span_count; i++) {
        const struct lab_span *span = &timeline->spans[i];
        if (!span->waiting && find_cpu(facts, span->cpu) == index)
            add_span(&sum, span, look_of(facts, span), end_ns);
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
