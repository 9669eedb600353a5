/* SPDX-License-Identifier: MIT */
/* All configurations, in rounds.
 *
 * A configuration is a load, with or without the GIL, on a pool of a kind and a size. A round
 * visits each that is not certain yet: those that share a pool one after the other, then the next
 * pool, so that what disturbs the machine for a while meets many of them, and none alone. A visit
 * makes a few runs. How many calls a run has follows from how long the one before took: about
 * `slice`, which is chosen so that two rounds fit into the time, and always whole waves of as many
 * calls as there are workers, so that none is idle at the end for lack of calls.
 *
 * Everything is visited once, for a single run, whatever the time is. It is visited again if there
 * is time, since two pools of the same size are not quite alike (where threads lie, what else
 * runs). Then only those whose interval is wider than 5 % to a side, until there is none or the
 * time is over.
 *
 * If the system has no room for a pool (a limit on processes, say), what needs it is left out, and
 * that is an error in the end.
 *
 * A pool of kind auto has to find out first. It has one load only, and that runs for a while before
 * its runs are counted; but where the load itself changes, finding out is part of the work, and the
 * runs are long enough that it is not most of it. */
#include "survey.h"

#include "interval.h"
#include "machine.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RUNS_MAX = 40,   /* of a configuration; more change nothing */
    RUNS_FIRST = 1,  /* in the first visit */
    RUNS_LATER = 2,  /* in each other, at most */
    ROUNDS_SURE = 2, /* in which everything is visited, if there is time */
    WAVES_MAX = 4096,
};

#define LEFT_OUT      UINT_MAX /* from now on */
#define TIGHT         0.05
#define SLICE_MIN_NS  (20 * WEFT_MS)
#define SLICE_MAX_NS  (400 * WEFT_MS)
#define SETTLE_MIN_NS (50 * WEFT_MS)
#define SETTLE_MAX_NS (700 * WEFT_MS)
#define CHANGE_MAX_NS (1500 * WEFT_MS) /* a run of kind auto with the load that changes */

/* A row in the making. */
struct config {
    enum lab_load load;
    weft_kind kind;
    uint32_t workers; /* 0: kind auto decides */
    bool gil;
    size_t runs;
    double rates[RUNS_MAX];
    double seconds, cpu_s, page_s, call_s; /* of all runs together */
    uint32_t used;                         /* workers that took part in the last run */
    size_t waves;                          /* of a run */
    unsigned visits; /* one more than the last round in which it was visited, or LEFT_OUT */
    bool tight;
    char explain[LAB_EXPLAIN_BYTES];
};

struct survey {
    const struct lab_bench *bench;
    struct progress *progress;
    struct lab_trouble *trouble;
    weft_deadline deadline;
    struct config *configs;
    size_t count, done; /* done: have been visited */
    unsigned round;     /* from 0 */
    int64_t slice_ns, settle_ns, change_ns;
    double seconds, others_s; /* of all runs */
    struct lab_trouble why;   /* what is wrong with the pool that is visited */
    int full;                 /* why something was left out, 0: nothing was */
};

static bool is_single(weft_kind kind)
{
    return kind == WEFT_SERIAL || kind == WEFT_AUTO;
}

/* More computing workers than CPUs change nothing; a few are shown, so that this is seen. */
static bool is_wanted(const struct lab_settings *settings, const struct lab_results *results,
                      enum lab_load load, size_t index)
{
    return settings->workers_given || load != LAB_CPU || index == 0 ||
           settings->workers[index] <= 4 * results->machine.cpus;
}

static void add(struct survey *survey, const struct lab_settings *settings,
                const struct lab_results *results, enum lab_load load, bool gil)
{
    for (size_t k = 0; k < settings->kind_count; k++) {
        weft_kind kind = settings->kinds[k];
        for (size_t w = 0; w < (is_single(kind) ? 1 : settings->worker_count); w++) {
            if (!is_single(kind) && !is_wanted(settings, results, load, w))
                continue;
            survey->configs[survey->count++] = (struct config){
                .load = load,
                .kind = kind,
                .workers = kind == WEFT_SERIAL ? 1
                           : kind == WEFT_AUTO ? 0
                                               : settings->workers[w],
                .gil = gil,
                .waves = 1,
            };
        }
    }
}

/* In the order that rows have. */
static int make_configs(struct survey *survey, const struct lab_settings *settings,
                        const struct lab_results *results)
{
    size_t most = (size_t)LAB_LOADS * 2 * settings->kind_count * settings->worker_count;

    survey->configs = calloc(most, sizeof *survey->configs);
    if (survey->configs == NULL)
        return -ENOMEM;
    for (int load = 0; load < LAB_LOADS; load++) {
        if (settings->loads[load] && settings->without_gil)
            add(survey, settings, results, (enum lab_load)load, false);
        if (settings->loads[load] && settings->with_gil)
            add(survey, settings, results, (enum lab_load)load, true);
    }
    return 0;
}

static int64_t between(int64_t ns, int64_t least, int64_t most)
{
    return ns < least ? least : ns > most ? most : ns;
}

static void plan(struct survey *survey, int64_t time_ns)
{
    int64_t runs = (int64_t)survey->count * (RUNS_FIRST + 2 * RUNS_LATER);

    survey->slice_ns = between(time_ns / (runs > 0 ? runs : 1), SLICE_MIN_NS, SLICE_MAX_NS);
    survey->settle_ns = between(time_ns / 80, SETTLE_MIN_NS, SETTLE_MAX_NS);
    survey->change_ns = between(time_ns / 40, SLICE_MIN_NS, CHANGE_MAX_NS);
}

static bool is_over(const struct survey *survey)
{
    return survey->round > 0 && weft_left(survey->deadline) == 0;
}

static bool wants_visit(const struct survey *survey, const struct config *config)
{
    if (config->visits > survey->round)
        return false; /* beside another one, in this round */
    return survey->round < ROUNDS_SURE || (!config->tight && config->runs < RUNS_MAX);
}

static uint32_t workers_of(const struct survey *survey, const struct config *config)
{
    return config->kind == WEFT_AUTO ? survey->bench->workers_max : config->workers;
}

static void note(struct config *config, const struct lab_sample *sample)
{
    double sorted[RUNS_MAX];

    config->rates[config->runs++] = (double)sample->calls / sample->seconds;
    config->seconds += sample->seconds;
    config->cpu_s += sample->cpu_s;
    config->page_s += sample->page_s;
    config->call_s += sample->call_s;
    config->used = sample->workers;
    memcpy(sorted, config->rates, config->runs * sizeof sorted[0]);
    struct interval interval = interval_of(sorted, config->runs);
    config->tight = interval_tight(&interval, config->runs, TIGHT);
}

/* Makes one run and has the next one last about ns. */
static int run_once(struct survey *survey, struct config *config, weft_pool *pool, int64_t ns,
                    struct lab_sample *ret)
{
    size_t wave = workers_of(survey, config) * (config->load == LAB_CHANGING ? 2 : 1);
    int rc = lab_run(pool, survey->bench, config->load, config->gil, config->waves * wave, ret,
                     &survey->why);

    if (rc < 0)
        return rc;
    survey->seconds += ret->seconds;
    survey->others_s += ret->others_s;
    double waves = (double)ns / (double)WEFT_S / ret->seconds * (double)config->waves;
    config->waves = waves < 1 ? 1 : waves > WAVES_MAX ? WAVES_MAX : (size_t)(waves + 0.5);
    return 0;
}

static int64_t slice_of(const struct survey *survey, const struct config *config)
{
    bool changing = config->kind == WEFT_AUTO && config->load == LAB_CHANGING;

    return changing ? survey->change_ns : survey->slice_ns;
}

/* Has a pool of kind auto find out what it is about. */
static int settle(struct survey *survey, struct config *config, weft_pool *pool)
{
    weft_deadline end = weft_after(survey->settle_ns);
    struct lab_sample sample;
    int rc = 0;

    do
        rc = run_once(survey, config, pool, slice_of(survey, config), &sample);
    while (rc == 0 && weft_left(end) > 0);
    return rc;
}

static void show(struct survey *survey, const struct config *config)
{
    progress_show(survey->progress, "%s%s, %s, %u worker%s (%zu of %zu%s)",
                  lab_load_title(config->load), config->gil ? " with a GIL" : "",
                  weft_kind_name(config->kind), workers_of(survey, config),
                  workers_of(survey, config) == 1 ? "" : "s",
                  survey->round == 0 ? survey->done + 1 : survey->count, survey->count,
                  survey->round == 0 ? "" : ", again");
}

static int visit(struct survey *survey, struct config *config, weft_pool *pool)
{
    size_t runs = survey->round == 0 ? RUNS_FIRST : RUNS_LATER;
    struct lab_sample sample;
    int rc = 0;

    show(survey, config);
    config->visits = survey->round + 1;
    if (config->kind == WEFT_AUTO)
        rc = settle(survey, config, pool);
    for (size_t i = 0; rc == 0 && i < runs && config->runs < RUNS_MAX; i++) {
        if (i > 0 && (is_over(survey) || (survey->round > 0 && config->tight)))
            break;
        rc = run_once(survey, config, pool, slice_of(survey, config), &sample);
        if (rc == 0)
            note(config, &sample);
    }
    if (config->kind == WEFT_AUTO)
        (void)weft_pool_explain(pool, config->explain, sizeof config->explain);
    survey->done += survey->round == 0;
    return rc;
}

/* Whether two configurations can have the same pool. */
static bool share_pool(const struct config *a, const struct config *b)
{
    return a == b || (a->kind == b->kind && a->workers == b->workers && a->kind != WEFT_AUTO);
}

/* Visits all that share a pool with the first of them. */
static int visit_pool(struct survey *survey, const struct config *first)
{
    weft_pool *pool = NULL;

    survey->why.text[0] = '\0';
    int rc = lab_pool_open(&pool, survey->bench, first->kind, first->workers);

    if (rc == 0 && first->kind != WEFT_AUTO)
        rc = lab_pool_warm(pool, first->workers, &survey->why);
    for (size_t i = 0; rc == 0 && i < survey->count && !is_over(survey); i++)
        if (share_pool(first, &survey->configs[i]) && wants_visit(survey, &survey->configs[i]))
            rc = visit(survey, &survey->configs[i], pool);
    if (rc == -ECANCELED)
        weft_pool_terminate(pool);
    weft_pool_close(pool);
    return rc;
}

/* Says in which configuration something went wrong for the first time. */
static void name_trouble(const struct survey *survey, const struct config *config, int rc)
{
    const char *why = survey->why.text;

    if (survey->trouble->text[0] != '\0')
        return;
    snprintf(survey->trouble->text, sizeof survey->trouble->text, "%s%s, %s, %u worker%s: %.128s",
             lab_load_title(config->load), config->gil ? " with a GIL" : "",
             weft_kind_name(config->kind), workers_of(survey, config),
             workers_of(survey, config) == 1 ? "" : "s", why[0] != '\0' ? why : weft_strerror(rc));
}

/* The system has no room for so many workers: what is measured by fewer still can be. */
static void leave_out(struct survey *survey, const struct config *config, int rc)
{
    survey->full = rc;
    for (size_t i = 0; i < survey->count; i++)
        if (share_pool(config, &survey->configs[i]))
            survey->configs[i].visits = LEFT_OUT;
}

/* Returns how many visits of pools there were, or -errno. */
static int one_round(struct survey *survey)
{
    int visits = 0;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < survey->count && !is_over(survey); i++)
        if (wants_visit(survey, &survey->configs[i])) {
            rc = visit_pool(survey, &survey->configs[i]);
            visits++;
            if (rc < 0)
                name_trouble(survey, &survey->configs[i], rc);
            if (machine_is_full(rc)) {
                leave_out(survey, &survey->configs[i], rc);
                rc = 0;
            }
        }
    return rc < 0 ? rc : visits;
}

static struct lab_row row_of(struct config *config)
{
    struct interval interval = interval_of(config->rates, config->runs);
    double cpus = config->cpu_s / config->seconds;
    uint32_t workers = config->kind == WEFT_AUTO ? config->used : config->workers;
    struct lab_row row = {
        .load = config->load,
        .kind = config->kind,
        .workers = workers,
        .gil = config->gil,
        .runs = config->runs,
        .rate = interval.median,
        .low = interval.low,
        .high = interval.high,
        .cpus = cpus,
        .waiting = fmin(fmax(1 - cpus / workers, 0), 1),
        .call_waits = workers == 1 ? config->page_s / (config->page_s + config->call_s) : -1,
        .tight = config->tight,
    };

    memcpy(row.explain, config->explain, sizeof row.explain);
    return row;
}

static int make_rows(struct survey *survey, struct lab_results *results)
{
    if (survey->seconds > 0 && machine_busy_s() >= 0)
        results->others = fmax(survey->others_s / survey->seconds, 0);
    results->rows = calloc(survey->count > 0 ? survey->count : 1, sizeof *results->rows);
    if (results->rows == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < survey->count; i++) {
        if (survey->configs[i].runs == 0)
            continue;
        results->cut |= !survey->configs[i].tight;
        results->rows[results->row_count++] = row_of(&survey->configs[i]);
    }
    return 0;
}

int lab_survey(const struct lab_settings *settings, const struct lab_bench *bench,
               struct progress *progress, weft_deadline deadline, struct lab_results *results,
               struct lab_trouble *trouble)
{
    struct survey survey = {
        .bench = bench,
        .progress = progress,
        .trouble = trouble,
        .deadline = deadline,
    };
    int rc = make_configs(&survey, settings, results);

    if (rc == 0) {
        plan(&survey, weft_left(deadline));
        while ((rc = one_round(&survey)) > 0 && !is_over(&survey)) {
            survey.round++;
            progress->end_ns = weft_now() + weft_left(deadline); /* all others are limited */
        }
        int made = make_rows(&survey, results);
        rc = rc < 0 ? rc : made < 0 ? made : survey.full;
    }
    free(survey.configs);
    return rc;
}
