/* SPDX-License-Identifier: MIT */
/* A round at one degree of parallelism.
 *
 * Workers (threads) take inputs in turns and run the command on them. The rate is that of the time
 * in which all of them were at work: it begins when the last of them has begun and ends when the
 * first of them finds nothing more to do. Of a run that lies partly outside, the part inside
 * counts. So neither the start nor the last stragglers, which run alone, make a degree look worse
 * or better than it is for a long list of inputs.
 *
 * What runs cost the kernel knows: when a child is waited for, its resource usage and that of all
 * whom it has waited for are added to this process's account of children. A round is the
 * difference. Nothing else runs children meanwhile. */
#include "command_round.h"

#include "machine.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { SPANS_FIRST = 256, WORKER_STACK_BYTES = 256 * 1024, DISK_BLOCK_BYTES = 512 };

/* What the workers of a round share. */
struct crew {
    struct command_work *work;
    int64_t stop_ns;    /* constant, as is the next */
    uint64_t last;      /* work->given at which the round ends */
    uint32_t unstarted; /* workers that have not begun; guarded by work->lock */

    weft_lock lock; /* guards what follows */
    struct command_round *round;
    struct command_span *spans;
    size_t span_count, span_room;
    int64_t begin_ns; /* when the last worker began */
    int64_t end_ns;   /* when the first worker ended */
};

static double seconds(int64_t ns)
{
    return (double)ns / 1e9;
}

double command_work_within(const struct command_span *spans, size_t count, int64_t begin_ns,
                           int64_t end_ns)
{
    double work = 0;

    for (size_t i = 0; i < count; i++) {
        int64_t from = spans[i].begin_ns > begin_ns ? spans[i].begin_ns : begin_ns;
        int64_t to = spans[i].end_ns < end_ns ? spans[i].end_ns : end_ns;
        if (to > from)
            work += (double)(to - from) / (double)(spans[i].end_ns - spans[i].begin_ns);
    }
    return work;
}

/* ---- workers */

/* What a worker runs next. */
struct turn {
    const struct command_input *input; /* NULL: the words as they are */
    uint64_t number;                   /* the input's line, or the how-manieth run it is */
    bool repeated;
    bool very_first; /* of all rounds */
};

static bool take_turn(struct crew *crew, struct turn *turn, bool first)
{
    struct command_work *work = crew->work;
    const struct command_inputs *inputs = work->inputs;

    weft_lock_lock(&work->lock);
    crew->unstarted -= first;
    bool taken = first || work->given + crew->unstarted < crew->last; /* theirs are set aside */
    uint64_t given = taken ? work->given++ : 0;
    weft_lock_release(&work->lock);
    if (!taken)
        return false;
    *turn = (struct turn){ .number = given + 1, .very_first = given == 0 };
    if (inputs->count > 0) {
        turn->input = &inputs->items[given % inputs->count];
        turn->number = turn->input->line;
        turn->repeated = given >= inputs->count;
    }
    return true;
}

static void note_failure(struct command_work *work, const struct turn *turn,
                         const struct command_end *end)
{
    struct command_failure *failure = &work->failure;

    weft_lock_lock(&work->lock);
    if (!failure->happened) {
        *failure = (struct command_failure){ .happened = true, .line = turn->number };
        failure->input = turn->input != NULL ? turn->input->text : NULL;
        strcpy(failure->text, end->outcome.text);
        strcpy(failure->tail, end->tail);
    }
    weft_lock_release(&work->lock);
}

static int add_span(struct crew *crew, const struct command_end *end)
{
    if (crew->span_count == crew->span_room) {
        size_t room = crew->span_room > 0 ? 2 * crew->span_room : SPANS_FIRST;
        void *spans = realloc(crew->spans, room * sizeof *crew->spans);
        if (spans == NULL)
            return -ENOMEM;
        crew->spans = spans;
        crew->span_room = room;
    }
    crew->spans[crew->span_count++] = (struct command_span){ end->started_ns, end->ended_ns };
    return 0;
}

static int note_end(struct crew *crew, const struct turn *turn, const struct command_end *end)
{
    struct command_round *round = crew->round;
    bool failed = end->outcome.how != WEFT_DONE;

    weft_lock_lock(&crew->lock);
    int rc = add_span(crew, end);
    round->runs++;
    round->failed += failed;
    round->repeats += turn->repeated;
    round->failed_repeats += failed && turn->repeated;
    round->wall_s += seconds(end->ended_ns - end->started_ns);
    round->queued_s += end->queued_s;
    weft_lock_release(&crew->lock);
    if (failed)
        note_failure(crew->work, turn, end);
    return rc;
}

/* If nothing could be started at all, the command is wrong; if it is this input (too long for the
 * system, or {} is the program's name), that is a run that failed. */
static int not_started(weft_call *call, struct crew *crew, const char *name,
                       const struct turn *turn, struct command_end *end)
{
    if (turn->very_first)
        crew->work->wrong = true; /* nobody else runs: before exploring there is one worker */
    if (turn->very_first || machine_is_full(end->start_error))
        return weft_call_fail(call, end->start_error, "%.100s: %s", name,
                              weft_strerror(end->start_error));
    end->ended_ns = weft_now();
    end->outcome.how = WEFT_FAILED;
    snprintf(end->outcome.text, sizeof end->outcome.text, "%.100s: %s", name,
             weft_strerror(end->start_error));
    return 0;
}

static int run_turn(weft_call *call, struct crew *crew, struct command_child *child,
                    const struct turn *turn, struct command_end *end)
{
    struct command_work *work = crew->work;
    char **words = command_words_make(work->words, turn->input != NULL ? turn->input->text : NULL);

    if (words == NULL)
        return -ENOMEM;
    int rc = command_child_run(child, words, work->directory_fd, turn->number, end);
    if (rc < 0 && rc != -ECANCELED && !machine_is_full(rc))
        weft_call_fail(call, rc, "the output of run %llu cannot be %s: %s",
                       (unsigned long long)turn->number, work->directory_fd >= 0 ? "saved" : "read",
                       weft_strerror(rc));
    if (rc == 0 && end->start_error < 0)
        rc = not_started(call, crew, words[0], turn, end);
    free(words);
    return rc;
}

static void note_worker(struct crew *crew, int64_t begin_ns, int64_t end_ns)
{
    weft_lock_lock(&crew->lock);
    if (begin_ns > crew->begin_ns)
        crew->begin_ns = begin_ns;
    if (end_ns < crew->end_ns)
        crew->end_ns = end_ns;
    weft_lock_release(&crew->lock);
}

static int work_with(weft_call *call, struct crew *crew, struct command_child *child)
{
    struct turn turn;
    struct command_end end = { 0 };
    int64_t begin_ns = 0;
    int rc = 0;

    while (rc == 0 && take_turn(crew, &turn, begin_ns == 0)) {
        rc = run_turn(call, crew, child, &turn, &end);
        if (rc == 0)
            rc = note_end(crew, &turn, &end);
        if (begin_ns == 0)
            begin_ns = end.started_ns;
        if (rc == 0 && end.ended_ns >= crew->stop_ns)
            break;
    }
    if (rc == 0)
        note_worker(crew, begin_ns, end.ended_ns);
    return rc;
}

static int work(weft_call *call)
{
    struct crew *crew = *(struct crew *const *)call->arg;
    struct command_child *child = NULL;
    int rc = command_child_open(&child);

    if (rc == 0)
        rc = work_with(call, crew, child);
    command_child_close(child);
    return rc;
}

/* ---- accounts */

struct account {
    struct rusage usage;
    int64_t now_ns;
    double cpu_pressure_s, io_pressure_s;
};

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS" */
static double pressure_s(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned long long us = 0;
    bool read = file != NULL && fscanf(file, "some %*s %*s %*s total=%llu", &us) == 1;

    if (file != NULL)
        (void)fclose(file);
    return read ? (double)us / 1e6 : NAN;
}

static void look_up(struct account *account)
{
    account->now_ns = weft_now();
    getrusage(RUSAGE_CHILDREN, &account->usage);
    account->cpu_pressure_s = pressure_s("/proc/pressure/cpu");
    account->io_pressure_s = pressure_s("/proc/pressure/io");
}

static double cpu_s(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

static void settle(struct command_round *round, const struct account *before)
{
    struct account now;
    const struct rusage *was = &before->usage;

    look_up(&now);
    round->round_s = seconds(now.now_ns - before->now_ns);
    round->cpu_s = cpu_s(&now.usage) - cpu_s(was);
    round->major_faults = (double)(now.usage.ru_majflt - was->ru_majflt);
    round->disk_bytes = DISK_BLOCK_BYTES * (double)(now.usage.ru_inblock - was->ru_inblock +
                                                    now.usage.ru_oublock - was->ru_oublock);
    round->blocked = (double)(now.usage.ru_nvcsw - was->ru_nvcsw);
    round->preempted = (double)(now.usage.ru_nivcsw - was->ru_nivcsw);
    round->cpu_pressure_s = now.cpu_pressure_s - before->cpu_pressure_s;
    round->io_pressure_s = now.io_pressure_s - before->io_pressure_s;
    /* At least this program's own: that is what a child begins with. */
    round->memory_bytes = (uint64_t)now.usage.ru_maxrss * 1024;
}

/* ---- the round */

/* Runs and how long they took. Where no moment was common to all workers (each had a single run, of
 * very different lengths), the whole time must do. */
static void take_rate(struct crew *crew)
{
    struct command_round *round = crew->round;
    int64_t begin_ns = crew->begin_ns;
    int64_t end_ns = crew->end_ns;

    if (end_ns <= begin_ns) {
        begin_ns = INT64_MAX;
        end_ns = 0;
        for (size_t i = 0; i < crew->span_count; i++) {
            if (crew->spans[i].begin_ns < begin_ns)
                begin_ns = crew->spans[i].begin_ns;
            if (crew->spans[i].end_ns > end_ns)
                end_ns = crew->spans[i].end_ns;
        }
    }
    round->work = command_work_within(crew->spans, crew->span_count, begin_ns, end_ns);
    round->window_s = seconds(end_ns - begin_ns);
}

/* Starts the workers and waits for all of them. */
static int run_crew(struct crew *crew, uint32_t jobs, weft_deadline deadline,
                    char trouble[COMMAND_TROUBLE_BYTES])
{
    weft_group *group;
    weft_outcome outcome = { .how = WEFT_PENDING };
    const weft_options options = { .name = "runs", .stack_bytes = WORKER_STACK_BYTES };
    int rc = weft_group_open(&group, WEFT_THREADS, &options);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; rc == 0 && i < jobs; i++)
        rc = weft_group_start(group, work, &crew, sizeof(struct crew *));
    if (rc == 0)
        rc = weft_group_join(group, deadline);
    weft_group_failure(group, &outcome);
    weft_group_close(group); /* ends the runs that are left */
    if (outcome.how == WEFT_FAILED) {
        rc = outcome.status;
        strcpy(trouble, outcome.text);
    }
    return rc;
}

int command_round_run(struct command_work *work, uint32_t jobs, int64_t slice_ns, uint64_t most,
                      weft_deadline deadline, struct command_round *ret,
                      char trouble[COMMAND_TROUBLE_BYTES])
{
    struct command_round round = { .jobs = jobs };
    struct account before;
    struct crew crew = { .work = work,
                         .stop_ns = weft_now() + slice_ns,
                         .unstarted = jobs,
                         .last = most < UINT64_MAX - work->given ? work->given + most : UINT64_MAX,
                         .lock = WEFT_LOCK_INIT,
                         .round = &round,
                         .end_ns = INT64_MAX };

    trouble[0] = '\0';
    look_up(&before);
    int rc = run_crew(&crew, jobs, deadline, trouble);
    if (rc == 0) {
        settle(&round, &before);
        take_rate(&crew);
        *ret = round;
    }
    free(crew.spans);
    return rc;
}
