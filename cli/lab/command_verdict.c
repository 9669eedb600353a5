/* SPDX-License-Identifier: MIT */
/* The judgement about a command: a pure function of the figures, so that it can be tested without
 * running anything.
 *
 * What a run does with its time is told at the smallest degree, where runs disturb each other
 * least: CPU seconds per second of its life. A CPU-bound one has about 1. What is missing from 1 is
 * waiting, for what can only be told by other signs: the kernel's pressure accounting says for how
 * long somebody on the machine waited for a disk or for a CPU (Documentation/accounting/psi.rst).
 * That somebody need not be ours, so for the disk our runs must have used it as well. Without such
 * accounting, much data or many major faults per second of waiting mean the disk.
 *
 * The best degree is the smallest within 5 % of the highest rate: what runs more at once than needed
 * takes memory, and patience from others, for nothing. A degree at which runs fail that do not fail
 * otherwise is out of question, however fast they fail. */
#include "command_verdict.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define WITHIN        0.95 /* of the highest rate: as good */
#define PARALLEL_FROM 1.2  /* CPUs that one run uses by itself */
#define CPU_FROM      0.75
#define MIXED_FROM    0.25
#define FULL_FROM     0.85 /* of the CPUs in use: they are the limit */
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

static enum command_wait wait_of(const struct command_degree *degree, double busy)
{
    double waiting = 1 - busy;

    if (busy >= CPU_FROM)
        return COMMAND_WAIT_NONE;
    if (waits_for_disk(degree, waiting))
        return COMMAND_WAIT_DISK;
    /* Only where one runs at a time: several are in each other's way. */
    if (degree->jobs == 1 && degree->cpu_pressure >= waiting / 2)
        return COMMAND_WAIT_CPU;
    return COMMAND_WAIT_OTHER;
}

static enum command_class class_of(double busy)
{
    if (busy >= PARALLEL_FROM)
        return COMMAND_PARALLEL;
    if (busy >= CPU_FROM)
        return COMMAND_CPU;
    return busy >= MIXED_FROM ? COMMAND_MIXED : COMMAND_WAITING;
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

    if (verdict->cpus >= FULL_FROM * cpus)
        return COMMAND_LIMIT_CPUS;
    if (best == most)
        return verdict->best > 0 ? COMMAND_LIMIT_GAINING : COMMAND_LIMIT_UNKNOWN;
    if (verdict->wait == COMMAND_WAIT_DISK || (uses_disk(most) && most->io_pressure >= 0.5))
        return COMMAND_LIMIT_DISK;
    return COMMAND_LIMIT_OTHER;
}

struct command_verdict command_judge(const struct command_degree *degrees, size_t count,
                                     double cpus)
{
    const struct command_degree *first = &degrees[0];
    struct command_verdict verdict = { .busy = first->cpu_s / first->wall_s };

    verdict.class = class_of(verdict.busy);
    verdict.wait = wait_of(first, verdict.busy);
    verdict.best = best_of(degrees, count);
    const struct command_degree *best = &degrees[verdict.best];
    verdict.gain = best->rate / first->rate;
    verdict.certain = best == first || best->low > first->high; /* false with NAN */
    verdict.cpus = best->rate * best->cpu_s;
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
    int decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3;

    if (value > 0 && value < 0.0995) /* three digits that count, down to a microsecond */
        decimals = value < 0.00995 ? 5 : 4;
    snprintf(figure.text, sizeof figure.text, "%.*f", decimals, value);
    return figure;
}

/* ---- words */

struct words {
    char *text;
    size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void say(struct words *words, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(words->text + words->used, words->size - words->used, format, args);
    va_end(args);
    if (n > 0)
        words->used += (size_t)n;
    if (words->used >= words->size)
        words->used = words->size - 1;
}

static int percent(double share)
{
    double p = 100 * share;

    return p < 0 ? 0 : p > 100 ? 100 : (int)lround(p);
}

static void say_bytes(struct words *words, double bytes)
{
    if (bytes >= 1048576)
        say(words, "%s MiB", command_figure(bytes / 1048576).text);
    else
        say(words, "%s KiB", command_figure(bytes / 1024).text);
}

static void say_what_for(struct words *words, enum command_wait wait,
                         const struct command_degree *first)
{
    switch (wait) {
    case COMMAND_WAIT_NONE:
        break;
    case COMMAND_WAIT_DISK:
        say(words, " for the disk (");
        say_bytes(words, first->disk_bytes);
        say(words, " and %s major faults a run)", command_figure(first->major_faults).text);
        break;
    case COMMAND_WAIT_CPU:
        say(words, " for a CPU, as others use them");
        break;
    case COMMAND_WAIT_OTHER:
        say(words, " (for the network, another program or a timer: the disk is not the reason)");
        break;
    }
}

static void say_class(struct words *words, const struct command_verdict *verdict,
                      const struct command_degree *first)
{
    switch (verdict->class) {
    case COMMAND_CPU:
        say(words, "CPU-bound: %d %% of its time on a CPU. ", percent(verdict->busy));
        break;
    case COMMAND_PARALLEL:
        say(words, "Parallel by itself: one run uses %.1f CPUs. ", verdict->busy);
        break;
    case COMMAND_MIXED:
        say(words, "Mixed: it computes %d %% of the time and waits %d %%", percent(verdict->busy),
            100 - percent(verdict->busy));
        say_what_for(words, verdict->wait, first);
        say(words, ". ");
        break;
    case COMMAND_WAITING:
        say(words, "It waits %d %% of the time", 100 - percent(verdict->busy));
        say_what_for(words, verdict->wait, first);
        say(words, ". ");
        break;
    }
}

static void say_rate(struct words *words, const struct command_degree *degree)
{
    say(words, "%s/s", command_figure(degree->rate).text);
    if (!isnan(degree->low))
        say(words, ", %s to %s", command_figure(degree->low).text,
            command_figure(degree->high).text);
}

static void say_limit(struct words *words, const struct command_verdict *verdict, double cpus)
{
    const char *s = cpus > 1 ? "s" : "";

    switch (verdict->limit) {
    case COMMAND_LIMIT_UNKNOWN:
        say(words, ". ");
        break;
    case COMMAND_LIMIT_GAINING:
        say(words, "; it still gained there, so that more may be better yet (-j). ");
        break;
    case COMMAND_LIMIT_CPUS:
        say(words, "; more gains nothing on %g CPU%s. ", cpus, s);
        break;
    case COMMAND_LIMIT_DISK:
        say(words, "; more gains less than 5 %%: the disk is the limit. ");
        break;
    case COMMAND_LIMIT_OTHER:
        say(words,
            "; more gains less than 5 %%, though it uses only %.1f of %g CPU%s: a lock, the "
            "network or a server is the limit. ",
            verdict->cpus, cpus, s);
        break;
    }
}

static void say_best(struct words *words, const struct command_verdict *verdict,
                     const struct command_degree *degrees, size_t count, double cpus)
{
    const struct command_degree *best = &degrees[verdict->best];
    const struct command_degree *first = &degrees[0];

    if (count == 1)
        say(words, "Only -j %u was measured (", best->jobs);
    else if (best == first)
        say(words, "-j %u is enough (", best->jobs);
    else
        say(words, "-j %u is best: %.*f x as fast as -j %u (", best->jobs,
            verdict->gain < 9.95 ? 1 : 0, verdict->gain, first->jobs);
    say_rate(words, best);
    say(words, ")");
    if (count == 1)
        say(words, ". ");
    else
        say_limit(words, verdict, cpus);
    if (!verdict->certain && isnan(best->low))
        say(words, "Too few rounds to say how certain that is. ");
    else if (!verdict->certain)
        say(words, "That is uncertain: the intervals overlap. ");
}

static void say_warnings(struct words *words, const struct command_verdict *verdict,
                         const struct command_degree *degrees, size_t count)
{
    const struct command_degree *best = &degrees[verdict->best];
    const struct command_degree *most = &degrees[count - 1];

    for (size_t i = 1; verdict->broken > 0 && i < count; i++) {
        if (!command_degree_broken(&degrees[i], degrees))
            continue;
        say(words, "From -j %u on runs fail that do not at -j %u: %d %% of them. ",
            degrees[i].jobs, degrees[0].jobs, percent(failed_share(&degrees[i])));
        break;
    }
    if (most > best && most->rate < SLOWER_BELOW * best->rate &&
        !command_degree_broken(most, degrees))
        say(words, "-j %u is slower: %s/s. ", most->jobs, command_figure(most->rate).text);
}

void command_verdict_text(const struct command_verdict *verdict,
                          const struct command_degree *degrees, size_t count, double cpus,
                          char *text, size_t size)
{
    struct words words = { .text = text, .size = size };

    text[0] = '\0';
    say_class(&words, verdict, &degrees[0]);
    say_best(&words, verdict, degrees, count, cpus);
    say_warnings(&words, verdict, degrees, count);
    while (words.used > 0 && text[words.used - 1] == ' ')
        text[--words.used] = '\0';
}
