/* SPDX-License-Identifier: MIT */
/* Who wins is found like this. The fastest row sets the mark, and whoever does not differ from it
 * is as good. Of these the simplest kind wins, and of that the fewest workers: nobody should take
 * processes for what threads do, or sixty-four of what four do. Kind auto is a choice among the
 * others, so it wins only if none of them is as good.
 *
 * Why is told from the row with one worker. The share of its time in which it waits, w, says what
 * more workers can do: they overlap the waits, until the CPUs are busy, which takes about
 * CPUs / (1 - w) of them. Then come those that do as well, those that do not, what a GIL changes,
 * what kind auto found, and what limits all of it. Every sentence has the figures it stands on. */
#include "verdict.h"

#include "format.h"
#include "machine.h"

#include <math.h>
#include <string.h>

#define SAME_SHARE       0.03 /* nobody would change a program for less */
#define SINGLE_RUN_SHARE 0.10 /* what a single run may be off by */
#define ALIKE_SHARE      0.10 /* beyond that nothing is called equal */
#define WAITS_MOSTLY     0.90
#define COMPUTES_MOSTLY  0.30

enum { KINDS = 5 };

/* From the simplest. */
static const weft_kind simplest[KINDS] = { WEFT_SERIAL, WEFT_THREADS, WEFT_TASKS, WEFT_PROCESSES,
                                           WEFT_AUTO };

/* The rows of one load, with the GIL or without it. */
struct view {
    const struct lab_row *rows;
    size_t count;
    enum lab_load load;
    bool gil;
};

static double low_of(const struct lab_row *row)
{
    return row->runs > 1 ? row->low : row->rate * (1 - SINGLE_RUN_SHARE);
}

static double high_of(const struct lab_row *row)
{
    return row->runs > 1 ? row->high : row->rate * (1 + SINGLE_RUN_SHARE);
}

bool lab_rows_differ(const struct lab_row *a, const struct lab_row *b)
{
    double share = fabs(a->rate - b->rate) / fmax(a->rate, b->rate);

    if (share <= SAME_SHARE || share > ALIKE_SHARE)
        return share > SAME_SHARE;
    return low_of(a) > high_of(b) || low_of(b) > high_of(a);
}

static bool sees(const struct view *view, size_t index)
{
    return view->rows[index].load == view->load && view->rows[index].gil == view->gil;
}

static const struct lab_row *fastest(const struct view *view)
{
    const struct lab_row *best = NULL;

    for (size_t i = 0; i < view->count; i++)
        if (sees(view, i) && (best == NULL || view->rows[i].rate > best->rate))
            best = &view->rows[i];
    return best;
}

/* Of a kind, the fewest workers that do as well as its fastest row; NULL: it was not measured. */
static const struct lab_row *best_of(const struct view *view, weft_kind kind)
{
    const struct lab_row *best = NULL;
    const struct lab_row *fewest = NULL;

    for (size_t i = 0; i < view->count; i++)
        if (sees(view, i) && view->rows[i].kind == kind &&
            (best == NULL || view->rows[i].rate > best->rate))
            best = &view->rows[i];
    for (size_t i = 0; i < view->count; i++)
        if (sees(view, i) && view->rows[i].kind == kind && !lab_rows_differ(&view->rows[i], best) &&
            (fewest == NULL || view->rows[i].workers < fewest->workers))
            fewest = &view->rows[i];
    return fewest;
}

/* Of a kind, the fewest workers that do not differ from a mark; NULL: none. */
static const struct lab_row *fewest_like(const struct view *view, weft_kind kind,
                                         const struct lab_row *mark)
{
    const struct lab_row *fewest = NULL;

    for (size_t i = 0; i < view->count; i++)
        if (sees(view, i) && view->rows[i].kind == kind && !lab_rows_differ(&view->rows[i], mark) &&
            (fewest == NULL || view->rows[i].workers < fewest->workers))
            fewest = &view->rows[i];
    return fewest;
}

static const struct lab_row *winner_of(const struct view *view)
{
    const struct lab_row *mark = fastest(view);
    const struct lab_row *found = NULL;

    for (int i = 0; mark != NULL && found == NULL && i < KINDS; i++)
        found = fewest_like(view, simplest[i], mark);
    return found;
}

/* "64 threads", "1 process", "serial", "auto". */
static void name(struct lab_text *text, const struct lab_row *row)
{
    static const char *const one[] = {
        [WEFT_THREADS] = "thread", [WEFT_TASKS] = "task", [WEFT_PROCESSES] = "process"
    };

    if (row->kind == WEFT_SERIAL || row->kind == WEFT_AUTO)
        lab_say(text, "%s", weft_kind_name(row->kind));
    else
        lab_say(text, "%u %s", row->workers,
                row->workers == 1 ? one[row->kind] : weft_kind_name(row->kind));
}

static bool is_one(const struct lab_row *row)
{
    return row->kind == WEFT_SERIAL || row->kind == WEFT_AUTO || row->workers == 1;
}

static void say_rate(struct lab_text *text, const struct lab_row *row)
{
    char number[LAB_NUMBER_BYTES];

    lab_format_rate(number, row->rate);
    lab_say(text, "%s calls/s", number);
}

/* "1.9 x serial". */
static void say_times(struct lab_text *text, const struct lab_row *row,
                      const struct lab_row *serial)
{
    double times = row->rate / serial->rate;

    lab_say(text, "%.*f x serial", times < 9.95 ? 1 : 0, times);
}

static void say_winner(struct lab_text *text, const struct lab_row *winner,
                       const struct lab_row *serial)
{
    lab_say(text, "%s%s: ", lab_load_title(winner->load), winner->gil ? " with a GIL" : "");
    name(text, winner);
    lab_say(text, is_one(winner) ? " wins: " : " win: ");
    say_rate(text, winner);
    if (serial != NULL && winner != serial) {
        lab_say(text, ", ");
        say_times(text, winner, serial);
    }
    if (winner->runs == 1)
        lab_say(text, " (a single run)");
    else if (!winner->tight)
        lab_say(text, " (give or take %.0f %%)",
                100 * fmax(winner->high - winner->rate, winner->rate - winner->low) / winner->rate);
    lab_say(text, ".");
}

/* The row that shows what one call does: nothing else runs beside it. */
static const struct lab_row *alone(const struct view *view)
{
    const struct lab_row *found = NULL;

    for (int i = 0; i < KINDS && found == NULL; i++)
        for (size_t j = 0; j < view->count && found == NULL; j++)
            if (sees(view, j) && view->rows[j].kind == simplest[i] && view->rows[j].call_waits >= 0)
                found = &view->rows[j];
    return found;
}

static void say_cpus(struct lab_text *text, const struct lab_machine *machine)
{
    double cpus = machine_cpus(machine);

    if (machine->quota > 0 && machine->quota < machine->cpus)
        lab_say(text, "the quota's %.3g CPUs", cpus);
    else if (machine->cpus == 1)
        lab_say(text, "the one CPU");
    else
        lab_say(text, "the %u CPUs", machine->cpus);
}

static void say_why(struct lab_text *text, const struct lab_row *one,
                    const struct lab_machine *machine)
{
    double waits = one->call_waits;
    double enough = machine_cpus(machine) / fmax(1 - waits, 1e-3);

    if (one->load == LAB_CHANGING) {
        lab_say(text, " First the calls wait and want many workers; then they compute, and more "
                      "than ");
        say_cpus(text, machine);
        lab_say(text, " can take do not help.");
    } else if (waits >= WAITS_MOSTLY) {
        lab_say(text,
                " A call waits %s%.*f %% of its time, and waits overlap, so that it would take "
                "about %.0f workers to keep ",
                waits > 0.9995 ? "more than " : "", waits > 0.985 ? 1 : 0, fmin(100 * waits, 99.9),
                fmax(enough, 1));
        say_cpus(text, machine);
        lab_say(text, " busy.");
    } else if (waits <= COMPUTES_MOSTLY) {
        lab_say(text, " A call computes %.0f %% of its time, so more workers than ",
                100 * (1 - waits));
        say_cpus(text, machine);
        lab_say(text, " can run do not help.");
    } else {
        lab_say(text, " A call waits %.0f %% of its time, so about %.0f workers keep ", 100 * waits,
                fmax(enough, 1));
        say_cpus(text, machine);
        lab_say(text, " busy.");
    }
}

/* Those kinds that do as well as the winner, and then those that do not. */
static void say_others(struct lab_text *text, const struct view *view, const struct lab_row *winner)
{
    const struct lab_row *mark = fastest(view);
    int said = 0;

    for (int i = 1; i < KINDS - 1; i++) {
        const struct lab_row *row = fewest_like(view, simplest[i], mark);
        if (row == NULL || simplest[i] == winner->kind)
            continue;
        lab_say(text, said++ > 0 ? ", " : " As good, within what can be told: ");
        name(text, row);
        lab_say(text, " (");
        say_rate(text, row);
        lab_say(text, "%s)", simplest[i] == WEFT_PROCESSES ? ", for more memory" : "");
    }
    lab_say(text, said > 0 ? "." : "");
    said = 0;
    for (int i = 1; i < KINDS - 1; i++) {
        const struct lab_row *row = best_of(view, simplest[i]);
        if (row == NULL || simplest[i] == winner->kind || fewest_like(view, simplest[i], mark))
            continue;
        lab_say(text, said++ > 0 ? ", " : " Behind: ");
        name(text, row);
        lab_say(text, " (");
        say_rate(text, row);
        lab_say(text, ")");
    }
    lab_say(text, said > 0 ? "." : "");
}

static void say_reached(struct lab_text *text, const struct lab_row *row,
                        const struct lab_row *serial)
{
    say_rate(text, row);
    if (serial != NULL) {
        lab_say(text, ", ");
        say_times(text, row, serial);
    }
}

static bool is_slower(const struct lab_row *row, const struct lab_row *than)
{
    return than != NULL && row->rate < than->rate && lab_rows_differ(row, than);
}

/* What the GIL changes for those who share one, and for processes, who do not. */
static void say_gil(struct lab_text *text, const struct view *without, const struct view *with)
{
    const struct lab_row *free_threads = best_of(without, WEFT_THREADS);
    const struct lab_row *threads = best_of(with, WEFT_THREADS);
    const struct lab_row *processes = best_of(with, WEFT_PROCESSES);
    const struct lab_row *serial = best_of(with, WEFT_SERIAL);

    if (threads == NULL)
        return;
    if (is_slower(threads, free_threads) || is_slower(threads, processes)) {
        lab_say(text, " With a GIL threads reach ");
        say_reached(text, threads, serial);
        lab_say(text, ", since one computes at a time");
        if (is_slower(threads, processes)) {
            lab_say(text, "; processes have a GIL each: ");
            say_reached(text, processes, serial);
        }
        lab_say(text, ".");
    } else if (free_threads != NULL && !lab_rows_differ(threads, free_threads)) {
        lab_say(text, " A GIL changes nothing for threads (");
        say_rate(text, threads);
        lab_say(text, ")%s.", threads->load == LAB_IO ? ": who waits gives it up" : "");
    }
}

static void say_auto(struct lab_text *text, const struct view *view, const struct lab_row *winner)
{
    const struct lab_row *row = best_of(view, WEFT_AUTO);

    if (row == NULL)
        return;
    if (row != winner && !lab_rows_differ(row, winner))
        lab_say(text, " Auto does as well");
    else if (row != winner)
        lab_say(text, " Auto reaches %.0f %% of the winner", 100 * row->rate / winner->rate);
    else
        lab_say(text, " Auto saw");
    lab_say(text, row->explain[0] != '\0' ? ": %s." : "%s.", row->explain);
}

/* The first rows of a load: without the GIL, unless only those with it were measured. */
static bool first_view(const struct lab_row *rows, size_t count, enum lab_load load,
                       struct view *ret)
{
    *ret = (struct view){ rows, count, load, false };
    if (fastest(ret) != NULL)
        return true;
    ret->gil = true;
    return fastest(ret) != NULL;
}

static void judge(const struct view *view, const struct lab_machine *machine,
                  struct lab_verdict *verdict)
{
    const struct lab_row *winner = winner_of(view);
    const struct lab_row *one = alone(view);
    const struct view with = { view->rows, view->count, view->load, true };
    struct lab_text text = { verdict->text, sizeof verdict->text };

    verdict->load = view->load;
    verdict->best = (size_t)(winner - view->rows);
    verdict->text[0] = '\0';
    say_winner(&text, winner, best_of(view, WEFT_SERIAL));
    if (one != NULL)
        say_why(&text, one, machine);
    say_others(&text, view, winner);
    if (fastest(&with) != NULL)
        say_gil(&text, view->gil ? &(struct view){ NULL, 0, view->load, false } : view, &with);
    say_auto(&text, view, winner);
}

size_t lab_judge(const struct lab_row *rows, size_t count, const struct lab_machine *machine,
                 struct lab_verdict verdicts[LAB_LOADS])
{
    size_t judged = 0;
    struct view view;

    for (int load = 0; load < LAB_LOADS; load++)
        if (first_view(rows, count, (enum lab_load)load, &view))
            judge(&view, machine, &verdicts[judged++]);
    return judged;
}
