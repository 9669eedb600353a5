/* SPDX-License-Identifier: MIT */
/* The results as text: for each load a table, with what a GIL changes beside what is without, and
 * the verdict; then the race. */
#include "table.h"

#include "format.h"
#include "machine.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { WIDTH = 96, WORKERS_BYTES = 24 };

#define OTHERS_SHOWN 0.1 /* CPUs */

static const char *const about[LAB_LOADS] = {
    [LAB_IO] = "each call fetches a page that is answered after 50 ms",
    [LAB_CPU] = "each call computes for about 2 ms",
    [LAB_MIXED] = "each call fetches a page, answered after 5 ms, and computes for about 5 ms",
    [LAB_CHANGING] = "first as many I/O-bound calls, then as many CPU-bound ones",
};

/* Breaks the lines of a paragraph. */
static void print_wrapped(FILE *to, const char *text)
{
    size_t at = 0;

    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (at > 0 && at + 1 + word > WIDTH) {
            fputc('\n', to);
            at = 0;
        }
        fprintf(to, "%s%.*s", at > 0 ? " " : "", (int)word, text);
        at += word + (at > 0);
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', to);
}

static void print_machine(FILE *to, const struct lab_results *results)
{
    const struct lab_machine *machine = &results->machine;

    fprintf(to, "%s%s%u CPU%s", machine->cpu, machine->cpu[0] != '\0' ? ", " : "", machine->cpus,
            machine->cpus == 1 ? "" : "s");
    if (machine->quota > 0)
        fprintf(to, " (a quota of %.3g)", machine->quota);
    fprintf(to, ", %.1f GiB, %s\n", (double)machine->memory_bytes / (1 << 30), machine->kernel);
}

/* What belongs into one line: the same without and with the GIL. */
struct line {
    weft_kind kind;
    uint32_t workers;
    const struct lab_row *rows[2]; /* by GIL; NULL: not measured */
};

static bool is_of(const struct line *line, const struct lab_row *row)
{
    return line->kind == row->kind && (line->workers == row->workers || row->kind == WEFT_AUTO);
}

/* Half of the interval, in per cent. */
static double reach(const struct lab_row *row)
{
    return 100 * fmax(row->high - row->rate, row->rate - row->low) / row->rate;
}

static void print_cells(FILE *to, const struct lab_row *row)
{
    char rate[LAB_NUMBER_BYTES];

    if (row == NULL) {
        fprintf(to, "  %10s %5s %6s %6s", "-", "", "-", "-");
        return;
    }
    lab_format_rate(rate, row->rate);
    fprintf(to, "  %10s ", rate);
    if (row->runs > 1)
        fprintf(to, "%3.0f %%", fmin(reach(row), 999));
    else
        fprintf(to, "%5s", "?");
    fprintf(to, " %6.2f %4.0f %%", row->cpus, 100 * row->waiting);
}

/* "4"; "64/2" for auto, which may have chosen something else with the GIL. */
static void print_workers(char text[WORKERS_BYTES], const struct line *line)
{
    const struct lab_row *const *rows = line->rows;

    if (rows[0] != NULL && rows[1] != NULL && rows[0]->workers != rows[1]->workers)
        snprintf(text, WORKERS_BYTES, "%u/%u", rows[0]->workers, rows[1]->workers);
    else
        snprintf(text, WORKERS_BYTES, "%u", line->workers);
}

static void print_line(FILE *to, const struct line *line, const bool columns[2],
                       const struct lab_row *winner)
{
    bool wins = winner == line->rows[0] || winner == line->rows[1];
    char workers[WORKERS_BYTES];

    print_workers(workers, line);
    fprintf(to, "%c %-10s %9s", wins ? '*' : ' ', weft_kind_name(line->kind), workers);
    for (int gil = 0; gil < 2; gil++)
        if (columns[gil])
            print_cells(to, line->rows[gil]);
    fputc('\n', to);
}

static void print_head(FILE *to, enum lab_load load, const bool columns[2])
{
    fprintf(to, "\n%s: %s\n\n", lab_load_title(load), about[load]);
    fprintf(to, "  %-20s", "");
    for (int gil = 0; gil < 2; gil++)
        if (columns[gil])
            fprintf(to, "  %31s",
                    gil ? "----------------- with a GIL" : "-------------- without a GIL");
    fprintf(to, "\n  %-10s %9s", "kind", "workers");
    for (int gil = 0; gil < 2; gil++)
        if (columns[gil])
            fprintf(to, "  %10s %5s %6s %6s", "calls/s", "+-", "CPUs", "waits");
    fputc('\n', to);
}

/* The row that is to begin the next line; it has no line yet if nothing above is of the same. */
static bool is_new(const struct lab_row *rows, size_t index)
{
    const struct line line = { rows[index].kind, rows[index].workers, { NULL, NULL } };

    for (size_t i = 0; i < index; i++)
        if (rows[i].load == rows[index].load && is_of(&line, &rows[i]))
            return false;
    return true;
}

static void print_load(FILE *to, const struct lab_results *results,
                       const struct lab_verdict *verdict)
{
    const struct lab_row *rows = results->rows;
    bool columns[2] = { false, false };

    for (size_t i = 0; i < results->row_count; i++)
        if (rows[i].load == verdict->load)
            columns[rows[i].gil] = true;
    print_head(to, verdict->load, columns);
    for (size_t i = 0; i < results->row_count; i++) {
        if (rows[i].load != verdict->load || !is_new(rows, i))
            continue;
        struct line line = { rows[i].kind, rows[i].workers, { NULL, NULL } };
        for (size_t j = i; j < results->row_count; j++)
            if (rows[j].load == verdict->load && is_of(&line, &rows[j]))
                line.rows[rows[j].gil] = &rows[j];
        print_line(to, &line, columns, &rows[verdict->best]);
    }
    fputc('\n', to);
    print_wrapped(to, verdict->text);
}

static void print_race(FILE *to, const struct lab_race *race)
{
    char expected[LAB_NUMBER_BYTES];
    char got[LAB_NUMBER_BYTES];
    char lost[LAB_NUMBER_BYTES];
    char line[512];

    lab_format_rate(expected, (double)race->expected);
    lab_format_rate(got, (double)race->unlocked);
    lab_format_rate(lost, (double)(race->expected - race->unlocked));
    fprintf(to, "\nA data race: %u threads add 1 to one counter, %s times in all\n\n",
            race->threads, expected);
    fprintf(to, "  without a lock  %12s  %8.1f ns each\n", got, race->unlocked_ns);
    lab_format_rate(got, (double)race->locked);
    fprintf(to, "  with a lock     %12s  %8.1f ns each\n\n", got, race->locked_ns);
    if (race->unlocked == race->expected)
        snprintf(line, sizeof line,
                 "None was lost this time, in %u tries: that is luck, or a single CPU. Nothing "
                 "prevents it without the lock.",
                 race->tries);
    else
        snprintf(line, sizeof line,
                 "%s updates (%.1f %%) were lost: two threads read the same value, and both wrote "
                 "it back with 1 added. Under the lock none is.",
                 lost, 100 * (double)(race->expected - race->unlocked) / (double)race->expected);
    print_wrapped(to, line);
}

/* How far the figures can be trusted, and what the columns are. */
static void print_end(FILE *to, const struct lab_results *results)
{
    char line[768];
    struct lab_text text = { line, sizeof line };

    lab_say(&text, "%.0f s of measuring", results->seconds);
    if (results->interrupted)
        lab_say(&text, ", interrupted");
    else if (results->cut)
        lab_say(&text, "; more time (--time) makes the wider intervals narrower");
    lab_say(&text,
            ". +- is how far the 95 %% interval reaches. CPUs: how many were busy for the workers. "
            "waits: of the workers' time, that in which no CPU worked for them.");
    fputc('\n', to);
    print_wrapped(to, line);
    if (results->others > OTHERS_SHOWN)
        fprintf(to,
                "Other programs used %.1f CPUs meanwhile: the figures would be better without "
                "them.\n",
                results->others);
}

void lab_table_print(FILE *to, const struct lab_results *results)
{
    print_machine(to, results);
    for (size_t i = 0; i < results->verdict_count; i++)
        print_load(to, results, &results->verdicts[i]);
    if (results->race.threads > 0)
        print_race(to, &results->race);
    print_end(to, results);
}
