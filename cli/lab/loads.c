/* SPDX-License-Identifier: MIT */
/* What the calls do, whatever kind runs them.
 *
 * A call fetches a page, computes, or both. Under the GIL it holds that all the way, as an
 * interpreter does: weft's waits give it up by themselves, and the computing looks now and then
 * whether somebody else is due. The GIL is an ordinary variable. So threads and tasks share one,
 * and each worker process has its own, forked from that of the zygote: as with CPython.
 *
 * Computing is a chain of multiplications, each of which needs the one before: it takes as long
 * wherever it runs, touches no memory, and no compiler shortens it.
 *
 * A recorded call writes down how its time was spent. It cannot see itself being stopped, but it
 * sees the clock jump: between two looks at it lies about a microsecond of computing, so that a gap
 * of 50 was spent waiting for a CPU or the GIL. */
#include "loads.h"

#include "client.h"
#include "results.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weft/gil.h>

enum { CHUNK_ROUNDS = 768, CALIBRATIONS = 5 };

#define GAP_NS       (50 * WEFT_US)
#define CALIBRATE_NS (3 * WEFT_MS)
#define PATIENCE_NS  (30 * WEFT_S) /* with a site that does not answer */

static weft_gil gil;

/* What a recorded call has written down. */
struct record {
    struct lab_span spans[LAB_CALL_SPANS_MAX];
    size_t count;
    int64_t begin_ns; /* of the span that has not ended */
    int64_t seen_ns;  /* the last look at the clock */
};

void lab_loads_init(void)
{
    weft_gil_init(&gil, 0, true);
}

int lab_worker_enter(weft_call *call, void **ret_worker)
{
    struct page_client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return weft_call_fail(call, -ENOMEM, "no memory for a connection");
    *ret_worker = client;
    return 0;
}

void lab_worker_leave(void *worker)
{
    page_client_close(worker);
    free(worker);
}

static int64_t thread_cpu_ns(void)
{
    struct timespec spent;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return (int64_t)spent.tv_sec * WEFT_S + spent.tv_nsec;
}

static void end_span(struct record *record, int64_t end_ns, bool waiting)
{
    int cpu = sched_getcpu();

    if (record->count < LAB_CALL_SPANS_MAX && end_ns > record->begin_ns)
        record->spans[record->count++] = (struct lab_span){
            .cpu = cpu < 0 ? 0 : (uint32_t)cpu,
            .begin_ns = record->begin_ns,
            .end_ns = end_ns,
            .waiting = waiting,
        };
    record->begin_ns = end_ns;
}

/* Looks at the clock in the middle of computing. */
static void look(struct record *record)
{
    int64_t now = weft_now();

    if (now - record->seen_ns > GAP_NS) {
        end_span(record, record->seen_ns, false);
        end_span(record, now, true);
    }
    record->seen_ns = now;
}

static uint64_t chain(uint64_t x, uint64_t rounds)
{
    for (uint64_t i = 0; i < rounds; i++)
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return x;
}

/* Pieces of about a microsecond, so that looking costs next to nothing. */
static int compute(const struct lab_job *job, struct record *record, uint64_t *ret_product)
{
    uint64_t product = job->rounds;
    int rc = 0;

    for (uint64_t left = job->rounds; left > 0 && rc == 0;) {
        uint64_t rounds = left < CHUNK_ROUNDS ? left : CHUNK_ROUNDS;
        product = chain(product, rounds);
        left -= rounds;
        if (job->gil)
            rc = weft_gil_check(&gil);
        if (record != NULL)
            look(record);
    }
    *ret_product = product;
    return rc < 0 ? rc : 0;
}

static int fetch(weft_call *call, const struct lab_job *job)
{
    const struct lab_place *place = call->context;
    int rc = page_get(call->worker, place->site, job->page_ms, weft_after(PATIENCE_NS));

    if (rc == -ECANCELED)
        return rc;
    return rc < 0 ? weft_call_fail(call, rc, "the embedded site: %s", weft_strerror(rc)) : 0;
}

static int work(weft_call *call, const struct lab_job *job, struct record *record,
                struct lab_done *done)
{
    int64_t begin_ns = weft_now();
    int rc = job->page ? fetch(call, job) : 0;

    done->page_ns = job->page ? weft_now() - begin_ns : 0;
    if (record != NULL) {
        int64_t now = weft_now();
        end_span(record, now, true); /* for the GIL and the page */
        record->seen_ns = now;
    }
    if (rc == 0)
        rc = compute(job, record, &done->product);
    if (record != NULL)
        end_span(record, weft_now(), false);
    return rc;
}

static int run(weft_call *call, struct record *record, struct lab_done *done)
{
    const struct lab_job *job = call->arg;
    int64_t before_ns = thread_cpu_ns();

    if (record != NULL)
        record->begin_ns = weft_now();
    int rc = job->gil ? weft_gil_enter(&gil, WEFT_FOREVER) : 0;
    if (rc < 0)
        return rc;
    rc = work(call, job, record, done);
    if (job->gil)
        (void)weft_gil_leave(&gil);
    done->cpu_ns = thread_cpu_ns() - before_ns;
    done->pid = getpid();
    return rc;
}

int lab_call(weft_call *call)
{
    struct lab_done done = { 0 };
    int rc = run(call, NULL, &done);

    return rc < 0 ? rc : weft_call_return(call, &done, sizeof done);
}

int lab_call_recorded(weft_call *call)
{
    struct record *record = calloc(1, sizeof *record);
    struct lab_done done = { 0 };

    if (record == NULL)
        return -ENOMEM;
    int rc = run(call, record, &done);
    if (rc == 0)
        rc = weft_call_return(call, record->spans, record->count * sizeof record->spans[0]);
    free(record);
    return rc;
}

uint64_t lab_calibrate(void)
{
    struct lab_job job = { .rounds = CHUNK_ROUNDS };
    int64_t best_ns = INT64_MAX;
    uint64_t product;
    volatile uint64_t kept; /* or the computing could be left out */

    for (int tries = 0; tries < CALIBRATIONS;) {
        int64_t begin_ns = thread_cpu_ns();
        (void)compute(&job, NULL, &product);
        kept = product;
        int64_t ns = thread_cpu_ns() - begin_ns;
        if (ns < CALIBRATE_NS) {
            job.rounds *= 2;
            continue;
        }
        best_ns = ns < best_ns ? ns : best_ns;
        tries++;
    }
    (void)kept;
    uint64_t rounds = (uint64_t)((double)job.rounds * (double)WEFT_MS / (double)best_ns);
    return rounds > 0 ? rounds : 1;
}
