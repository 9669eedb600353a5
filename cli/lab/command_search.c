/* SPDX-License-Identifier: MIT */
/* The search for the best degree of parallelism.
 *
 *   warming up   one run that does not count: it brings the program into memory
 *   exploring    a round at 1, 2, 4 ... up to four times the CPUs, and on while that gains
 *   refining     more rounds at the degrees that matter, down and up again, so that a machine that
 *                becomes faster or slower meanwhile treats all degrees alike
 *
 * It is over when the intervals of the degrees that matter are tight, when time is, or when all
 * inputs have been used and each of these degrees has its three rounds. Rounds are kept so small
 * that the inputs last for that. Only if there are too few are they used again, and not for degrees
 * beyond four times the CPUs; if runs then fail that did not before, the search is over at once:
 * such a command cannot be repeated.
 *
 * Nothing is tried that might harm the machine: no more at once than there is memory for, by the
 * largest run until then, nor than inputs or descriptors. */
#include "command_search.h"

#include "fetch/descriptors.h"
#include "interval.h"
#include "machine.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* STOP: the search is over, as planned or because time is. */
enum { GO_ON = 0, STOP = 1 };

enum {
    ROUNDS_MIN = 3,   /* at each degree that matters */
    JOBS_MAX = 512,   /* that are tried unasked */
    BEYOND_CPUS = 4,  /* times the CPUs are tried in any case */
    IDLE_STEPS = 2,   /* so many steps without a gain end exploring early */
    COLD_SHARE = 8,   /* a first run of this part of the time is too dear not to count */
    DESCRIPTORS = 10, /* of each run: its pipes, files, and what is waited with */
};

#define SLICE_MAX_NS (3 * WEFT_S)
#define TIGHT        0.03 /* of the rate, to each side */
#define GAIN         1.1  /* a step of exploring that gained */
#define MATTERS      0.8  /* of the highest rate: may be the best */
#define MEMORY_SHARE 0.8  /* of what is available */
#define REPEATABLE   0.1  /* more fail only when repeated: see cannot_repeat() */

/* ---- what is known */

static void add_round(struct command_tally *tally, const struct command_round *round)
{
    struct command_round *sum = &tally->sum;

    sum->jobs = round->jobs;
    sum->runs += round->runs;
    sum->failed += round->failed;
    sum->repeats += round->repeats;
    sum->failed_repeats += round->failed_repeats;
    sum->wall_s += round->wall_s;
    sum->cpu_s += round->cpu_s;
    sum->queued_s += round->queued_s;
    sum->round_s += round->round_s;
    sum->major_faults += round->major_faults;
    sum->disk_bytes += round->disk_bytes;
    sum->blocked += round->blocked;
    sum->preempted += round->preempted;
    sum->cpu_pressure_s += round->cpu_pressure_s;
    sum->io_pressure_s += round->io_pressure_s;
    tally->rates[tally->rounds++] = round->work / round->window_s;
}

static struct command_degree degree_of(const struct command_tally *tally)
{
    const struct command_round *sum = &tally->sum;
    double runs = (double)sum->runs;
    double rates[COMMAND_ROUNDS_MAX];

    memcpy(rates, tally->rates, sizeof rates);
    struct interval rate = interval_of(rates, tally->rounds);
    bool known = tally->rounds >= ROUNDS_MIN;
    return (struct command_degree){
        .jobs = sum->jobs,
        .rounds = tally->rounds,
        .runs = sum->runs,
        .failed = sum->failed,
        .rate = rate.median,
        .low = known ? rate.low : NAN,
        .high = known ? rate.high : NAN,
        .wall_s = sum->wall_s / runs,
        .cpu_s = sum->cpu_s / runs,
        .queued_s = sum->queued_s / runs,
        .major_faults = sum->major_faults / runs,
        .disk_bytes = sum->disk_bytes / runs,
        .blocked = sum->blocked / runs,
        .preempted = sum->preempted / runs,
        .cpu_pressure = sum->cpu_pressure_s / sum->round_s,
        .io_pressure = sum->io_pressure_s / sum->round_s,
    };
}

/* Whether a round is worth using inputs again, if there are no others: where the answer is sought
 * first, or where it was asked for. */
static bool may_repeat(const struct command_search *search, uint32_t jobs)
{
    return search->list != NULL || jobs < 2 * BEYOND_CPUS * search->cpus;
}

/* How many inputs there are for each round, if all are to be enough; one is for warming up. */
static uint64_t even_share(const struct command_search *search)
{
    return (search->work.inputs->count - 1) / (ROUNDS_MIN * search->planned);
}

/* How many inputs that have not been used yet there are for a degree; UINT64_MAX: the command needs
 * none. Those that are tried beyond need leave enough for the first, to which all are compared. */
static uint64_t fresh_inputs(const struct command_search *search, uint32_t jobs)
{
    size_t count = search->work.inputs->count;
    size_t rounds = search->count > 0 ? search->tallies[0].rounds : 0;

    if (count == 0)
        return UINT64_MAX;
    uint64_t fresh = search->work.given < count ? count - search->work.given : 0;
    uint64_t kept = rounds < ROUNDS_MIN ? (ROUNDS_MIN - rounds) * even_share(search) : 0;
    if (may_repeat(search, jobs))
        return fresh;
    return fresh > kept ? fresh - kept : 0;
}

static bool fits(const struct command_search *search, double run_s)
{
    return (double)weft_left(search->deadline) / 1e9 > run_s;
}

/* ---- a round */

/* Runs on used inputs fail, and on fresh ones they do not. */
static bool cannot_repeat(const struct command_search *search, const struct command_round *round)
{
    return round->failed_repeats > round->repeats / 2 &&
           (double)search->failed_fresh <= REPEATABLE * (double)search->fresh;
}

static int take_round(struct command_search *search, size_t i, const struct command_round *round)
{
    search->fresh += round->runs - round->repeats;
    search->failed_fresh += round->failed - round->failed_repeats;
    search->memory_bytes = round->memory_bytes;
    if (cannot_repeat(search, round)) {
        search->unrepeatable = true;
        return STOP;
    }
    add_round(&search->tallies[i], round);
    search->degrees[i] = degree_of(&search->tallies[i]);
    if (i == search->count)
        search->count++;
    return GO_ON;
}

static void skip(struct command_search *search, uint32_t jobs, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void skip(struct command_search *search, uint32_t jobs, const char *format, ...)
{
    va_list args;

    if (search->skipped != 0)
        return;
    search->skipped = jobs;
    va_start(args, format);
    vsnprintf(search->skipped_reason, sizeof search->skipped_reason, format, args);
    va_end(args);
}

/* How many runs a round may have, so that the inputs last. */
static uint64_t share_of_inputs(const struct command_search *search, uint32_t jobs)
{
    uint64_t fresh = fresh_inputs(search, jobs);

    if (search->work.inputs->count == 0)
        return UINT64_MAX;
    uint64_t share = even_share(search);
    if (share < 2 * (uint64_t)jobs)
        share = 2 * (uint64_t)jobs;
    return fresh >= jobs && fresh < share ? fresh : share;
}

/* A round at one degree, the i-th. */
static int measure(struct command_search *search, size_t i, uint32_t jobs)
{
    struct command_round round;

    progress_show(search->progress, "-j %" PRIu32 ", %" PRIu64 " runs", jobs, search->work.given);
    int rc = command_round_run(&search->work, jobs, search->slice_ns, share_of_inputs(search, jobs),
                               search->deadline, &round, search->trouble);
    if (rc == 0)
        return take_round(search, i, &round);
    if (rc == -ETIMEDOUT) {
        search->cut = true;
        return STOP;
    }
    if (machine_is_full(rc) && i > 0) {
        skip(search, jobs, "%s", weft_strerror(rc));
        return STOP;
    }
    return rc;
}

/* ---- exploring */

uint32_t command_degree_after(uint32_t jobs, double cpus)
{
    uint32_t all = (uint32_t)ceil(cpus);
    uint32_t next = 1;

    while (next <= jobs)
        next *= 2;
    return all > jobs && all < next ? all : next;
}

static size_t plan(const struct command_search *search)
{
    size_t n = 0;

    if (search->list != NULL)
        return search->list_count;
    for (uint32_t jobs = 0; jobs < BEYOND_CPUS * search->cpus; n++)
        jobs = command_degree_after(jobs, search->cpus);
    return n + 1;
}

static double highest_rate(const struct command_search *search, size_t count)
{
    double highest = 0;

    for (size_t i = 0; i < count; i++)
        highest = fmax(highest, search->degrees[i].rate);
    return highest;
}

/* Whether the last steps, so many, gained nothing. */
static bool idle_steps(const struct command_search *search, size_t steps)
{
    if (search->count <= steps)
        return false;
    double before = highest_rate(search, search->count - steps);
    return highest_rate(search, search->count) < GAIN * before;
}

/* The next degree to be explored; 0: no more. */
static uint32_t next_degree(const struct command_search *search)
{
    if (search->list != NULL)
        return search->count < search->list_count ? search->list[search->count] : 0;
    if (search->count == 0)
        return 1;
    uint32_t last = search->degrees[search->count - 1].jobs;
    bool enough = last >= BEYOND_CPUS * search->cpus && idle_steps(search, 1);
    if (enough || last >= JOBS_MAX || (last > search->cpus && idle_steps(search, IDLE_STEPS)))
        return 0;
    return command_degree_after(last, search->cpus);
}

/* Bytes that programs can have without others having to give some back; UINT64_MAX: unknown. */
static uint64_t available_bytes(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    uint64_t kib = UINT64_MAX / 1024;

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) == 1)
            break;
    if (file != NULL)
        (void)fclose(file);
    return kib * 1024;
}

static bool descriptors_fit(uint32_t jobs)
{
    uint64_t needed = descriptors_needed(jobs, DESCRIPTORS);
    struct rlimit limit;

    /* Raised only if need be: the runs have the limit as well. */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= needed)
        return true;
    return descriptors_raise() >= needed;
}

/* Whether so many at once can be tried; if not, says why. */
static bool possible(struct command_search *search, uint32_t jobs)
{
    size_t inputs = search->work.inputs->count;
    double memory = (double)search->memory_bytes * jobs;

    if (inputs > 0 && jobs > inputs)
        skip(search, jobs, "there %s only %zu input%s", inputs == 1 ? "is" : "are", inputs,
             inputs == 1 ? "" : "s");
    else if (!may_repeat(search, jobs) && fresh_inputs(search, jobs) < jobs)
        skip(search, jobs, "too few inputs are left that have not been used");
    else if (jobs > 1 && memory > MEMORY_SHARE * (double)available_bytes())
        skip(search, jobs, "a run takes up to %" PRIu64 " MiB of memory, which leaves too little",
             search->memory_bytes >> 20);
    else if (!descriptors_fit(jobs))
        skip(search, jobs, "the system does not allow enough file descriptors (ulimit -Hn)");
    else
        return true;
    return false;
}

static int warm_up(struct command_search *search)
{
    struct command_round round;

    progress_show(search->progress, "warming up");
    int rc = command_round_run(&search->work, 1, 0, 1, search->deadline, &round, search->trouble);
    if (rc == -ETIMEDOUT) {
        search->cut = true;
        return STOP;
    }
    if (rc < 0)
        return rc;
    search->memory_bytes = round.memory_bytes;
    search->cold = round.wall_s * COLD_SHARE > (double)search->time_ns / 1e9 &&
                   (search->list == NULL || search->list[0] == 1);
    if (search->cold)
        return take_round(search, 0, &round);
    search->fresh += round.runs;
    search->failed_fresh += round.failed;
    return GO_ON;
}

/* Then there is nothing to be found out. */
static bool all_failed(const struct command_search *search)
{
    return search->count == 1 && search->degrees[0].failed == search->degrees[0].runs &&
           search->failed_fresh == search->fresh;
}

static int explore(struct command_search *search)
{
    uint32_t jobs;
    int rc = GO_ON;

    while (rc == GO_ON && (jobs = next_degree(search)) != 0) {
        if (search->count == COMMAND_DEGREES_MAX || !possible(search, jobs))
            break;
        if (search->count > 0 && !fits(search, search->degrees[search->count - 1].wall_s)) {
            search->cut = true;
            return STOP;
        }
        rc = measure(search, search->count, jobs);
        search->failing = rc == GO_ON && all_failed(search);
        if (search->failing)
            return STOP;
    }
    return rc == STOP && search->skipped != 0 ? GO_ON : rc;
}

/* ---- refining */

static bool matters(const struct command_search *search, size_t i)
{
    return i == 0 || (search->degrees[i].rate >= MATTERS * highest_rate(search, search->count) &&
                      !command_degree_broken(&search->degrees[i], &search->degrees[0]));
}

static bool needs_more(const struct command_search *search, size_t i)
{
    const struct command_degree *degree = &search->degrees[i];
    struct interval rate = { degree->rate, degree->low, degree->high };

    if (!matters(search, i) || degree->rounds == COMMAND_ROUNDS_MAX)
        return false;
    if (degree->rounds < ROUNDS_MIN && may_repeat(search, degree->jobs))
        return true;
    return fresh_inputs(search, degree->jobs) >= degree->jobs &&
           !(degree->rounds >= ROUNDS_MIN && interval_tight(&rate, degree->rounds, TIGHT));
}

/* One more round at each degree that needs it. */
static int refine_once(struct command_search *search, bool down, size_t *ret_measured)
{
    *ret_measured = 0;
    for (size_t n = 0; n < search->count; n++) {
        size_t i = down ? search->count - 1 - n : n;
        if (!needs_more(search, i))
            continue;
        if (!fits(search, search->degrees[i].wall_s)) {
            search->cut = true;
            continue;
        }
        int rc = measure(search, i, search->degrees[i].jobs);
        if (rc != GO_ON)
            return rc;
        ++*ret_measured;
    }
    return GO_ON;
}

/* A slice that leaves time for three rounds at each degree that matters. */
static void shorten_slice(struct command_search *search)
{
    size_t rounds = 0;

    for (size_t i = 0; i < search->count; i++)
        rounds += matters(search, i) ? ROUNDS_MIN : 0;
    int64_t slice_ns = weft_left(search->deadline) / (int64_t)rounds;
    if (slice_ns < search->slice_ns)
        search->slice_ns = slice_ns;
}

static int refine(struct command_search *search)
{
    size_t measured = 1;
    bool down = true;
    int rc = GO_ON;

    for (; rc == GO_ON && measured > 0; down = !down)
        rc = refine_once(search, down, &measured);
    return rc;
}

int command_search_run(struct command_search *search)
{
    int64_t began_ns = weft_now();

    search->tallies = calloc(COMMAND_DEGREES_MAX, sizeof *search->tallies);
    if (search->tallies == NULL)
        return -ENOMEM;
    search->deadline = weft_after(search->time_ns);
    search->planned = plan(search);
    search->slice_ns = search->time_ns / (int64_t)((ROUNDS_MIN + 1) * search->planned);
    if (search->slice_ns > SLICE_MAX_NS)
        search->slice_ns = SLICE_MAX_NS;
    int rc = warm_up(search);
    if (rc == GO_ON)
        rc = explore(search);
    if (rc == GO_ON && search->count > 0) {
        shorten_slice(search);
        rc = refine(search);
    }
    progress_clear(search->progress);
    search->took_ns = weft_now() - began_ns;
    return rc < 0 ? rc : 0;
}
