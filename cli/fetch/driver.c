/* SPDX-License-Identifier: MIT */
/* The strand that hands out the URLs and takes the results.
 *
 *                      +--------------------- due ---------------------+
 *                      v                                               |
 *     input ---> in flight (a call of the group) ---> may help? ---> waiting
 *                      |                                   |
 *                      +--> cancelled before it began      +--> printed and counted
 *
 * It waits for four things at once: the input's next batch, a call that has ended, Ctrl-C, and the
 * time at which a URL is to be tried again. All kinds of worker are behind the group, so the kind
 * appears once, where the pool is opened; with kind processes the calls are tasks that have worker
 * processes do it (crew.c).
 *
 * Memory is bounded: at most in_flight_max jobs in flight and JOBS_MAX in all; while there is no
 * room, no input is taken, and the reader's queue is bounded, too. In flight are more than there
 * are workers, so that a worker that is done finds the next call without waiting for this strand.
 *
 * The first Ctrl-C (`draining`) takes back what no worker has begun; the second cancels this strand
 * (fetch.c), which ends its waits, or the transfer that it runs itself with kind serial; it then
 * acknowledges, cancels the group, and takes what comes back. */
#include "driver.h"

#include "command.h"
#include "crew.h"
#include "interrupt.h"
#include "jobs.h"
#include "output.h"
#include "retry.h"
#include "verdict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In flight and waiting together. */
enum { JOBS_MAX = 16384, IN_FLIGHT_SPARE = 256, LANDINGS_AT_ONCE = 256 };

/* Workers that there may be of kind auto if the user has not said how many. */
enum { AUTO_WORKERS = 256 };

/* Results that come closer to each other than this are taken together. */
#define PAUSE_NS (2 * WEFT_MS)

/* How often a pool of kind auto is asked. Some time after there was less to do it has fewer workers
 * again: what is told in the end is what it said while there was enough. */
#define EXPLAIN_NS (100 * WEFT_MS)

struct driver {
    const struct settings *settings;
    struct output output;
    struct counts counts;
    struct input *input;
    struct jobs jobs;
    struct crew *crew; /* of kind processes, else NULL */
    weft_fn *attempt;  /* what the calls run */
    weft_pool *pool;
    weft_group *group;
    size_t in_flight_max;
    size_t busiest;       /* the most that have been in flight, of kind auto */
    int64_t explained_ns; /* when the pool said the next; 0: not yet */
    char explanation[EXPLANATION_MAX];
    uint64_t numbers; /* of URLs, given so far */
    uint64_t random;
    bool busy; /* the last wait was shorter than PAUSE_NS */
    bool draining;
    bool counted_all; /* draining: all of the input's URLs are counted */
};

static uint64_t next_random(struct driver *d)
{
    d->random ^= d->random << 13; /* xorshift64 */
    d->random ^= d->random >> 7;
    d->random ^= d->random << 17;
    return d->random;
}

/* ---- endings */

/* Takes the job. */
static void finish(struct driver *d, struct job *job, const struct result *result, uint32_t worker)
{
    bool odd_line = result->failure == FAILURE_URL && job->origin.name != NULL;
    struct ending ending = {
        .url = job->task.url,
        .source = odd_line ? job->origin.name : NULL,
        .line = job->origin.line,
        .result = result,
        .attempts = job->attempts,
        .worker = worker,
    };

    if (result->failure == FAILURE_NONE) {
        d->counts.fetched++;
        d->counts.body_bytes += result->body_bytes;
    } else {
        d->counts.failed++;
    }
    output_line(&d->output, &ending);
    job_free(job);
}

/* What the user did not wait for. If it had been tried before, it has failed; else it is only
 * counted. Takes the job. */
static void give_back(struct driver *d, struct job *job, bool started)
{
    if (job->last != NULL) {
        job->attempts -= started ? 0 : 1;
        finish(d, job, job->last, job->worker);
        return;
    }
    d->counts.stopped += started ? 1 : 0;
    d->counts.not_started += started ? 0 : 1;
    job_free(job);
}

static bool try_again(struct driver *d, struct job *job, const struct result *result, size_t bytes,
                      uint32_t worker)
{
    if (d->draining || job->attempts > d->settings->retries ||
        !retry_may_help((enum failure)result->failure, result->status) ||
        job_keep_result(job, result, bytes) < 0)
        return false;
    job->worker = worker;
    job->due_ns =
        weft_after(retry_wait_ns(d->settings, job->attempts, result->retry_after_s, next_random(d)))
            .ns;
    jobs_wait(&d->jobs, job);
    if (result->failure == FAILURE_WORKER)
        d->counts.rescued++;
    else
        d->counts.retries++;
    return true;
}

/* Takes the job. */
static void end_attempt(struct driver *d, struct job *job, const struct result *result,
                        size_t bytes, uint32_t worker)
{
    if (!try_again(d, job, result, bytes, worker))
        finish(d, job, result, worker);
}

/* The call gave no transfer's result: the worker could not be made ready, or memory ran out. */
static void call_failed(struct driver *d, struct job *job, const weft_outcome *outcome)
{
    union verdict verdict;

    verdict_make(&verdict, FAILURE_OTHER, "%s",
                 outcome->text[0] != '\0' ? outcome->text : weft_strerror(outcome->status));
    finish(d, job, &verdict.result, outcome->worker);
}

/* Takes the job and the future. */
static void land(struct driver *d, struct job *job, weft_future *future)
{
    const weft_outcome *outcome = weft_future_outcome(future);
    size_t bytes;
    const struct result *result = weft_future_result(future, &bytes);

    weft_future_close(job->future);
    job->future = NULL;
    if (outcome->how == WEFT_CANCELLED || outcome->status == -ECANCELED)
        give_back(d, job, outcome->started_ns != 0);
    else if (outcome->how == WEFT_DONE && result != NULL)
        end_attempt(d, job, result, bytes,
                    result->process > 0 ? result->process - 1 : outcome->worker);
    else
        call_failed(d, job, outcome);
    weft_future_close(future);
}

/* ---- beginnings */

/* Whether this attempt decides if the URL kills its processes: then nothing else may. */
static bool must_be_alone(const struct driver *d, const struct job *job)
{
    return job->attempts > d->settings->retries && job->last != NULL &&
           job->last->failure == FAILURE_WORKER;
}

/* Hands the job (taken) to a worker; kind serial runs it. Returns 0 or -errno. */
static int launch(struct driver *d, struct job *job)
{
    job->attempts++;
    job->task.alone = must_be_alone(d, job);
    int rc = weft_group_submit(d->group, d->attempt, &job->task, job->task_bytes, &job->future,
                               WEFT_FOREVER);
    if (rc < 0) {
        give_back(d, job, false);
        return rc;
    }
    job->index = weft_future_index(job->future);
    jobs_fly(&d->jobs, job);
    return 0;
}

/* Makes a job of the input's next URL; a line that is none ends at once. NULL: none is at hand. */
static struct job *next_url(struct driver *d)
{
    const char *text;
    size_t length;
    struct origin origin;
    union verdict verdict;

    while (input_next(d->input, &text, &length, &origin)) {
        const char *wrong = url_complaint(text, length);
        if (wrong != NULL && length > 100)
            length = 100; /* enough to find it by */
        struct job *job = job_make(d->numbers++, text, length, origin);
        if (job == NULL)
            return NULL;
        if (wrong == NULL)
            return job;
        verdict_make(&verdict, FAILURE_URL, "not a URL: %s", wrong);
        finish(d, job, &verdict.result, 0);
    }
    return NULL;
}

static bool room(const struct driver *d)
{
    return !d->draining && d->jobs.in_flight < d->in_flight_max;
}

static bool room_for_new(const struct driver *d)
{
    return room(d) && d->jobs.in_flight + d->jobs.waiting_count < JOBS_MAX;
}

static int launch_all(struct driver *d)
{
    struct job *job;
    int rc = 0;

    while (rc == 0 && room(d) && (job = jobs_due(&d->jobs, weft_now())) != NULL)
        rc = launch(d, job);
    while (rc == 0 && room_for_new(d) && (job = next_url(d)) != NULL)
        rc = launch(d, job);
    return rc;
}

/* ---- what a pool of kind auto has decided */

static void explain(struct driver *d)
{
    int64_t now = weft_now();

    if (d->settings->kind != WEFT_AUTO)
        return;
    if (d->jobs.in_flight > d->busiest)
        d->busiest = d->jobs.in_flight;
    if (d->jobs.in_flight < d->busiest / 2 || now - d->explained_ns < EXPLAIN_NS)
        return;
    d->explained_ns = now;
    (void)weft_pool_explain(d->pool, d->explanation, sizeof d->explanation);
}

/* When all is done: short runs are over before there was a time to ask at which it had measured. */
static const char *last_explanation(struct driver *d)
{
    if (d->settings->kind == WEFT_AUTO && weft_now() - d->explained_ns < 5 * EXPLAIN_NS)
        (void)weft_pool_explain(d->pool, d->explanation, sizeof d->explanation);
    return d->explanation;
}

/* ---- the loop */

static void drain(struct driver *d)
{
    struct job *job;

    d->draining = true;
    jobs_cancel_pending(&d->jobs);
    while ((job = jobs_due(&d->jobs, INT64_MAX)) != NULL)
        give_back(d, job, true);
    d->counts.not_started += input_drain(d->input, &d->counted_all);
}

/* Takes the future. */
static void landed(struct driver *d, weft_future *future)
{
    struct job *job = jobs_land(&d->jobs, weft_future_index(future));

    if (job != NULL)
        land(d, job, future);
    else
        weft_future_close(future);
}

/* The first that has ended is here; takes others that have meanwhile. */
static int land_all(struct driver *d, const weft_case *happened, weft_future *future)
{
    int rc = happened->result;

    for (int i = 0; rc == 0; i++) {
        landed(d, future);
        rc = i < LANDINGS_AT_ONCE ? weft_group_next(d->group, &future, WEFT_NOW) : -ETIMEDOUT;
    }
    return rc == -ETIMEDOUT || rc == -ENODATA ? 0 : rc;
}

/* Waits for the first of all that can happen. Returns the case's index or -errno. */
static int wait_for_first(struct driver *d, weft_case *cases, size_t n)
{
    int64_t due_ns = room(d) ? jobs_next_due(&d->jobs) : INT64_MAX;
    int64_t begin_ns = weft_now();
    int first;

    /* Serial has no results that others give meanwhile. */
    if (d->busy && !room(d) && !d->draining && d->settings->kind != WEFT_SERIAL)
        (void)!weft_sleep_until((weft_deadline){ begin_ns + PAUSE_NS });
    first = weft_select(
        cases, n,
        weft_sooner((weft_deadline){ due_ns }, (weft_deadline){ d->output.next_draw_ns }));
    d->busy = weft_now() - begin_ns < 2 * PAUSE_NS;
    return first;
}

static int wait_for_something(struct driver *d)
{
    weft_future *future = NULL;
    weft_case cases[] = {
        input_case(d->input),
        { .op = WEFT_NEXT, .on.group = d->jobs.in_flight > 0 ? d->group : NULL, .item = &future },
        { .op = WEFT_SET, .on.event = d->draining ? NULL : &interrupts.finish },
    };

    if (!room_for_new(d))
        cases[0].on.queue = NULL;
    switch (wait_for_first(d, cases, sizeof cases / sizeof cases[0])) {
    case 0:
        input_arrived(d->input, &cases[0]);
        return 0;
    case 1:
        return land_all(d, &cases[1], future);
    case 2:
        drain(d);
        return 0;
    case -ETIMEDOUT:
        return 0;
    default:
        return -ECANCELED;
    }
}

static bool all_done(const struct driver *d)
{
    return d->jobs.in_flight == 0 &&
           (d->draining || (d->jobs.waiting_count == 0 && input_ended(d->input)));
}

static int loop(struct driver *d)
{
    int rc = 0;

    while (rc == 0) {
        /* Here as well as in the wait, where a result that is always there (serial) may come first.
         */
        if (!d->draining && weft_event_is_set(&interrupts.finish))
            drain(d);
        rc = launch_all(d);
        if (rc < 0 || all_done(d))
            return rc;
        explain(d);
        output_progress(&d->output, &d->counts, input_total(d->input));
        rc = output_flush(&d->output);
        if (rc == 0)
            rc = wait_for_something(d);
    }
    return rc;
}

/* Ends what runs and takes it back. */
static void stop(struct driver *d)
{
    weft_future *future;

    weft_uncancel();
    if (d->crew != NULL)
        crew_stop(d->crew);
    weft_group_cancel(d->group);
    if (!d->draining)
        drain(d);
    while (d->jobs.in_flight > 0 && weft_group_next(d->group, &future, WEFT_FOREVER) == 0)
        landed(d, future);
}

/* ---- begin and end */

/* Calls run on workers of the kind itself, but of kind processes in tasks that have worker
 * processes make the attempts. */
static int open_pool(struct driver *d, const weft_options *options)
{
    bool crewed = d->settings->kind == WEFT_PROCESSES;
    weft_kind kind = crewed ? WEFT_TASKS : d->settings->kind;
    int rc = weft_pool_open(&d->pool, kind, options);

    if (rc < 0)
        return rc;
    return weft_group_open(&d->group, kind,
                           &(weft_options){ .pool = d->pool, .on_failure = WEFT_GO_ON });
}

static int open_workers(struct driver *d)
{
    const struct settings *s = d->settings;
    weft_options options = { .name = "fetch", .workers = (uint32_t)s->workers };

    options.backlog_max = (uint32_t)d->in_flight_max;
    if (s->kind != WEFT_PROCESSES) {
        d->attempt = transfer;
        options.context = &s->plan;
        options.context_bytes = sizeof s->plan;
        options.enter = transfer_enter;
        options.leave = transfer_leave;
        return open_pool(d, &options);
    }
    int rc = crew_open(&d->crew, s);
    d->attempt = crew_errand;
    options.context = &d->crew;
    options.context_bytes = sizeof d->crew;
    return rc < 0 ? rc : open_pool(d, &options);
}

static int driver_open(struct driver *d, const struct settings *settings)
{
    *d = (struct driver){ .settings = settings, .random = settings->plan.run | 1 };
    output_init(&d->output, settings);
    size_t workers = settings->workers != 0 ? settings->workers : AUTO_WORKERS;
    d->in_flight_max = settings->kind == WEFT_SERIAL ? 1 : 2 * workers + IN_FLIGHT_SPARE;
    int rc = jobs_init(&d->jobs, d->in_flight_max, JOBS_MAX);
    if (rc == 0)
        rc = open_workers(d);
    if (rc == 0)
        rc = input_open(&d->input, settings);
    return rc;
}

static void driver_close(struct driver *d)
{
    input_close(d->input);
    weft_group_close(d->group);
    weft_pool_close(d->pool);
    crew_close(d->crew);
    jobs_deinit(&d->jobs);
}

static int conclude(struct driver *d, int rc)
{
    bool interrupted = d->draining && weft_event_is_set(&interrupts.finish);
    struct deaths deaths = { 0 };

    if (d->crew != NULL)
        crew_deaths(d->crew, &deaths);
    if (d->output.error == -EPIPE) /* `| head` has seen enough */
        return EXIT_FAILED;
    output_clear(&d->output);
    if (d->output.error != 0)
        fprintf(stderr, "weft fetch: standard output: %s\n", strerror(-d->output.error));
    else if (rc < 0 && !interrupted)
        fprintf(stderr, "weft fetch: cannot go on: %s\n", weft_strerror(rc));
    if (interrupted)
        output_interrupted(&d->output, &d->counts, d->counted_all);
    else if (!d->settings->quiet)
        output_summary(&d->output, d->settings, &d->counts, &deaths, last_explanation(d),
                       rc >= 0 || d->counted_all);
    if (interrupted)
        return EXIT_INTERRUPTED;
    bool all = rc == 0 && d->counts.failed == 0 && input_errors(d->input) == 0;
    return all && d->output.error == 0 ? EXIT_OK : EXIT_FAILED;
}

static void complain_of_start(const struct settings *settings, int rc)
{
    if (settings->kind == WEFT_AUTO)
        fprintf(stderr, "weft fetch: cannot start any workers: %s\n", weft_strerror(rc));
    else
        fprintf(stderr, "weft fetch: cannot start %llu %s: %s\n",
                (unsigned long long)settings->workers, weft_kind_name(settings->kind),
                weft_strerror(rc));
}

int drive(weft_call *call)
{
    const struct settings *settings = *(const struct settings *const *)call->arg;
    struct driver d;
    int code = EXIT_FAILED;
    int rc = driver_open(&d, settings);

    if (rc == 0) {
        rc = loop(&d);
        if (rc < 0)
            stop(&d);
        (void)output_flush(&d.output);
        code = conclude(&d, rc);
    } else {
        complain_of_start(settings, rc);
    }
    driver_close(&d);
    return code;
}
