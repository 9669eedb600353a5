/* SPDX-License-Identifier: MIT */
/* The judgement about a command: a pure function of the figures, so that it can be tested without
 * running anything.
 *
 * What a run does with its time is told at the smallest degree, where runs disturb each other
 * least: CPU seconds per second of its life. A CPU-bound one has about 1, counting the time in
 * which it waited for a CPU that another program had; the kernel knows that of its first thread.
 * What is missing from 1 is waiting, for what can only be told by other signs: the kernel's
 * pressure accounting says for how long somebody on the machine waited for a disk
 * (Documentation/accounting/psi.rst). That somebody need not be ours, so our runs must have used
 * the disk as well. Without such accounting, much data or many major faults per second of waiting
 * mean the disk.
 *
 * The best degree is the smallest within 5 % of the highest rate: what runs more at once than
 * needed takes memory, and patience from others, for nothing. A degree at which runs fail that do
 * not fail otherwise is out of question, however fast they fail. */
#include "command_verdict.h"

#include "format.h"

#include <math.h>
#include <stdio.h>

#define WITHIN        0.95 /* of the highest rate: as good */
#define PARALLEL_FROM 1.2  /* CPUs that one run uses by itself */
#define CPU_FROM      0.75
#define MIXED_FROM    0.25
#define FULL_FROM     0.85 /* of the CPUs in use: they are the limit */
#define QUEUED_FROM   0.1  /* of the time without a CPU where one was wanted: worth telling */
#define CROWD_FROM    0.25 /* of the time, somebody without a CPU: other programs use them */
#define SLOWER_BELOW  0.9
#define BROKEN_BEYOND 0.1 /* more of the runs fail than at the first degree */

/* Signs of the disk where the kernel does not account for pressure, per second of waiting: what a
 * slow disk does with small pieces. */
#define FAULTS_PER_S 50.0
#define BYTES_PER_S  1048576.0

static bool uses_disk(const struct command_degree *degree)
{
    return degree->disk_bytes > 0 || degree->major_faults > 0;
}

static bool waits_for_disk(const struct command_degree *degree, double waiting)
{
    double waited_s = waiting * degree->wall_s;

    if (!isnan(degree->io_pressure))
        return uses_disk(degree) && degree->io_pressure >= waiting / 2;
    return degree->major_faults >= FAULTS_PER_S * waited_s ||
           degree->disk_bytes >= BYTES_PER_S * waited_s;
}

/* The share of its time in which it waited for a CPU, as far as that is known. */
static double queued_share(const struct command_degree *degree)
{
    return isnan(degree->queued_s) ? 0 : degree->queued_s / degree->wall_s;
}

/* By its time without that in which it was kept from the CPUs: alone it would be so. */
static enum command_class class_of(double busy, double queued)
{
    double alone = busy / fmax(1 - queued, busy);

    if (busy >= PARALLEL_FROM)
        return COMMAND_PARALLEL;
    if (alone >= CPU_FROM)
        return COMMAND_CPU;
    return alone >= MIXED_FROM ? COMMAND_MIXED : COMMAND_WAITING;
}

static enum command_wait wait_of(const struct command_degree *degree,
                                 const struct command_verdict *verdict)
{
    if (verdict->class == COMMAND_CPU || verdict->class == COMMAND_PARALLEL)
        return verdict->queued >= QUEUED_FROM ? COMMAND_WAIT_CPU : COMMAND_WAIT_NONE;
    if (waits_for_disk(degree, 1 - verdict->busy - verdict->queued))
        return COMMAND_WAIT_DISK;
    return COMMAND_WAIT_OTHER;
}

static double failed_share(const struct command_degree *degree)
{
    return (double)degree->failed / (double)degree->runs;
}

bool command_degree_broken(const struct command_degree *degree, const struct command_degree *first)
{
    return failed_share(degree) > failed_share(first) + BROKEN_BEYOND;
}

static size_t best_of(const struct command_degree *degrees, size_t count)
{
    double highest = 0;
    size_t best = 0;

    for (size_t i = 0; i < count; i++)
        if (degrees[i].rate > highest && !command_degree_broken(&degrees[i], degrees))
            highest = degrees[i].rate;
    while (best < count && (degrees[best].rate < WITHIN * highest ||
                            command_degree_broken(&degrees[best], degrees)))
        best++;
    return best < count ? best : 0; /* the first is never broken, so that it is found */
}

static enum command_limit limit_of(const struct command_verdict *verdict,
                                   const struct command_degree *degrees, size_t count, double cpus)
{
    const struct command_degree *best = &degrees[verdict->best];
    const struct command_degree *most = &degrees[count - 1];

    if (verdict->cpus >= FULL_FROM * cpus || queued_share(best) >= CROWD_FROM)
        return COMMAND_LIMIT_CPUS;
    if (best == most)
        return verdict->best > 0 ? COMMAND_LIMIT_GAINING : COMMAND_LIMIT_UNKNOWN;
    if (queued_share(most) >= CROWD_FROM || most->cpu_pressure >= CROWD_FROM)
        return COMMAND_LIMIT_CPUS; /* other programs may have a part in it */
    if (verdict->wait == COMMAND_WAIT_DISK || (uses_disk(most) && most->io_pressure >= 0.5))
        return COMMAND_LIMIT_DISK;
    return COMMAND_LIMIT_OTHER;
}

struct command_verdict command_judge(const struct command_degree *degrees, size_t count,
                                     double cpus)
{
    const struct command_degree *first = &degrees[0];
    struct command_verdict verdict = { .busy = first->cpu_s / first->wall_s,
                                       .queued = queued_share(first) };

    verdict.class = class_of(verdict.busy, verdict.queued);
    verdict.wait = wait_of(first, &verdict);
    verdict.best = best_of(degrees, count);
    const struct command_degree *best = &degrees[verdict.best];
    verdict.gain = best->rate / first->rate;
    verdict.certain = best == first || best->low > first->high; /* false with NAN */
    verdict.cpus = best->rate * best->cpu_s;
    /* One run that does not fill the CPUs by itself leaves nobody without. */
    verdict.crowded = first->jobs == 1 && verdict.busy < FULL_FROM * cpus &&
                      (verdict.queued >= CROWD_FROM || first->cpu_pressure >= CROWD_FROM);
    for (size_t i = 1; i < count; i++)
        verdict.broken += command_degree_broken(&degrees[i], first);
    verdict.limit = limit_of(&verdict, degrees, count, cpus);
    return verdict;
}

/* ---- names */

const char *command_class_name(enum command_class class)
{
    static const char *const names[] = { "cpu", "parallel", "mixed", "waiting" };

    return names[class];
}

const char *command_wait_name(enum command_wait wait)
{
    static const char *const names[] = { NULL, "disk", "cpu", "other" };

    return names[wait];
}

const char *command_limit_name(enum command_limit limit)
{
    static const char *const names[] = { "unknown", "gaining", "cpus", "disk", "other" };

    return names[limit];
}

struct command_figure command_figure(double value)
{
    struct command_figure figure;
    int decimals = value <= 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3;

    if (value > 0 && value < 0.0995) /* three digits that count, down to a microsecond */
        decimals = value < 0.00995 ? 5 : 4;
    snprintf(figure.text, sizeof figure.text, "%.*f", decimals, value);
    return figure;
}

/* ---- words */

static int percent(double share)
{
    double p = 100 * share;

    return p < 0 ? 0 : p > 100 ? 100 : (int)lround(p);
}

static void say_bytes(struct lab_text *words, double bytes)
{
    if (bytes >= 1048576)
        lab_say(words, "%s MiB", command_figure(bytes / 1048576).text);
    else
        lab_say(words, "%s KiB", command_figure(bytes / 1024).text);
}

static void say_what_for(struct lab_text *words, enum command_wait wait,
                         const struct command_degree *first)
{
    if (wait != COMMAND_WAIT_DISK) {
        lab_say(words, " (for the network, another program or a timer: it is not the disk)");
        return;
    }
    lab_say(words, " (for the disk: ");
    say_bytes(words, first->disk_bytes);
    lab_say(words, " and %s major faults a run)", command_figure(first->major_faults).text);
}

static void say_class(struct lab_text *words, const struct command_verdict *verdict,
                      const struct command_degree *first)
{
    switch (verdict->class) {
    case COMMAND_CPU:
        lab_say(words, "CPU-bound: %d %% of its time on a CPU", percent(verdict->busy));
        if (verdict->wait == COMMAND_WAIT_CPU)
            lab_say(words, " and %d %% waiting for one", percent(verdict->queued));
        lab_say(words, ". ");
        break;
    case COMMAND_PARALLEL:
        lab_say(words, "Parallel by itself: one run uses %.1f CPUs. ", verdict->busy);
        break;
    case COMMAND_MIXED:
        lab_say(words, "Mixed: it computes %d %% of the time and waits %d %%",
                percent(verdict->busy), 100 - percent(verdict->busy));
        say_what_for(words, verdict->wait, first);
        lab_say(words, ". ");
        break;
    case COMMAND_WAITING:
        lab_say(words, "It waits %d %% of the time", 100 - percent(verdict->busy));
        say_what_for(words, verdict->wait, first);
        lab_say(words, ". ");
        break;
    }
}

static void say_rate(struct lab_text *words, const struct command_degree *degree)
{
    lab_say(words, "%s/s", command_figure(degree->rate).text);
    if (!isnan(degree->low))
        lab_say(words, ", %s to %s", command_figure(degree->low).text,
                command_figure(degree->high).text);
}

static void say_limit(struct lab_text *words, const struct command_verdict *verdict, double cpus)
{
    const char *s = cpus > 1 ? "s" : "";

    switch (verdict->limit) {
    case COMMAND_LIMIT_UNKNOWN:
        lab_say(words, ". ");
        break;
    case COMMAND_LIMIT_GAINING:
        lab_say(words, "; it still gained there, so that more may be better yet (-j). ");
        break;
    case COMMAND_LIMIT_CPUS:
        lab_say(words, "; more gains nothing on %g CPU%s. ", cpus, s);
        break;
    case COMMAND_LIMIT_DISK:
        lab_say(words, "; more gains less than 5 %%: the disk is the limit. ");
        break;
    case COMMAND_LIMIT_OTHER:
        lab_say(words,
                "; more gains less than 5 %%, though it uses only %.1f of %g CPU%s: a lock, the "
                "network or a server is the limit. ",
                verdict->cpus, cpus, s);
        break;
    }
}

static void say_best(struct lab_text *words, const struct command_verdict *verdict,
                     const struct command_degree *degrees, size_t count, double cpus)
{
    const struct command_degree *best = &degrees[verdict->best];
    const struct command_degree *first = &degrees[0];

    if (count == 1)
        lab_say(words, "Only -j %u was measured (", best->jobs);
    else if (best == first)
        lab_say(words, "-j %u is enough (", best->jobs);
    else
        lab_say(words, "-j %u is best: %.*f x as fast as -j %u (", best->jobs,
                verdict->gain < 9.95 ? 1 : 0, verdict->gain, first->jobs);
    say_rate(words, best);
    lab_say(words, ")");
    if (count == 1)
        lab_say(words, ". ");
    else
        say_limit(words, verdict, cpus);
    if (!verdict->certain && isnan(best->low))
        lab_say(words, "Too few rounds to say how certain that is. ");
    else if (!verdict->certain)
        lab_say(words, "That is uncertain: the intervals overlap. ");
}

/* Among many, who sends more gets more: that is no reason to do so when the others are gone. */
static void say_crowd(struct lab_text *words, const struct command_verdict *verdict,
                      const struct command_degree *best, double cpus)
{
    uint32_t all = (uint32_t)ceil(cpus);

    if (!verdict->crowded)
        return;
    lab_say(words,
            "Other programs, or a quota, kept it from the CPUs meanwhile: on a quiet machine "
            "the figures are higher");
    if (verdict->class == COMMAND_CPU && best->jobs > all)
        lab_say(words, ", and -j %u can be expected to be enough", all);
    lab_say(words, ". ");
}

static void say_warnings(struct lab_text *words, const struct command_verdict *verdict,
                         const struct command_degree *degrees, size_t count)
{
    const struct command_degree *best = &degrees[verdict->best];
    const struct command_degree *most = &degrees[count - 1];

    for (size_t i = 1; verdict->broken > 0 && i < count; i++) {
        if (!command_degree_broken(&degrees[i], degrees))
            continue;
        lab_say(words, "From -j %u on runs fail that do not at -j %u: %d %% of them. ",
                degrees[i].jobs, degrees[0].jobs, percent(failed_share(&degrees[i])));
        break;
    }
    if (most > best && most->rate < SLOWER_BELOW * best->rate &&
        !command_degree_broken(most, degrees))
        lab_say(words, "-j %u is slower: %s/s. ", most->jobs, command_figure(most->rate).text);
}

void command_verdict_text(const struct command_verdict *verdict,
                          const struct command_degree *degrees, size_t count, double cpus,
                          char *text, size_t size)
{
    struct lab_text words = { text, size };

    text[0] = '\0';
    say_class(&words, verdict, &degrees[0]);
    say_best(&words, verdict, degrees, count, cpus);
    say_warnings(&words, verdict, degrees, count);
    say_crowd(&words, verdict, &degrees[verdict->best], cpus);
    while (words.at > text && words.at[-1] == ' ')
        *--words.at = '\0';
}
