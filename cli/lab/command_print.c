/* SPDX-License-Identifier: MIT */
/* What was found about a command, for people. */
#include "command_print.h"

#include "utf8.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* Other programs' words, without what would move the cursor or change colours, or is no UTF-8. */
static void print_plain(const char *text)
{
    while (*text != '\0') {
        size_t length = utf8_printable(text);
        if (length == 0)
            putchar('?');
        else
            fwrite(text, 1, length, stdout);
        text += length > 0 ? length : 1;
    }
}

static void print_command(char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (i > 0)
            putchar(' ');
        print_plain(words[i]);
    }
    putchar('\n');
}

/* How many runs there were, on how many inputs, and how often on the same one: it matters for
 * commands that change what they are run on. */
static void print_runs(const struct command_search *search)
{
    const struct command_inputs *inputs = search->work.inputs;
    uint64_t runs = search->work.given;

    printf("%" PRIu64 " run%s in %s s", runs, plural(runs),
           command_figure((double)search->took_ns / 1e9).text);
    if (inputs->count == 0)
        printf(", without inputs");
    else if (runs <= inputs->count)
        printf(", each on another one of %" PRIu64 " inputs", inputs->total);
    else
        printf("; there were only %zu input%s for them, each was used up to %" PRIu64 " times",
               inputs->count, plural(inputs->count), (runs + inputs->count - 1) / inputs->count);
    printf(". It may use %g CPU%s.\n\n", search->cpus, search->cpus > 1 ? "s" : "");
}

static void print_interval(const struct command_degree *degree)
{
    char text[2 * COMMAND_FIGURE_BYTES + 8] = "";

    if (!isnan(degree->low))
        snprintf(text, sizeof text, "%s to %s", command_figure(degree->low).text,
                 command_figure(degree->high).text);
    printf(" %18s", text);
}

static void print_degree(const struct command_degree *degree, const struct command_degree *first)
{
    double waiting = 1 - degree->cpu_s / degree->wall_s;

    printf("%5" PRIu32 " %7" PRIu64 " %7" PRIu64 " %9s", degree->jobs, degree->runs, degree->failed,
           command_figure(degree->rate).text);
    print_interval(degree);
    printf(" %8.2f %9s %7.0f %% %7s\n", degree->rate / first->rate,
           command_figure(degree->cpu_s).text, 100 * fmax(waiting, 0),
           command_figure(degree->major_faults).text);
}

static void print_table(const struct command_search *search)
{
    printf("%5s %7s %7s %9s %18s %8s %9s %9s %7s\n", "-j", "runs", "failed", "runs/s",
           "95 % interval", "speed-up", "CPU s/run", "waiting", "faults");
    for (size_t i = 0; i < search->count; i++)
        print_degree(&search->degrees[i], &search->degrees[0]);
    putchar('\n');
}

static void print_notes(const struct command_search *search)
{
    if (search->cold)
        printf("Runs are so long for the time given that the first one counts as well, which had "
               "to\nload the program.\n");
    if (search->skipped != 0)
        printf("-j %" PRIu32 " was not tried: %s.\n", search->skipped, search->skipped_reason);
    if (search->cut)
        printf("The time was over before all was certain: --time gives it more.\n");
    if (search->unrepeatable)
        printf("Runs fail on an input that was used before: measuring ended when all had been "
               "used.\nThose runs do not count in the table.\n");
}

static uint64_t failed_runs(const struct command_search *search)
{
    uint64_t failed = 0;

    for (size_t i = 0; i < search->count; i++)
        failed += search->degrees[i].failed;
    return failed;
}

static void print_failure(const struct command_search *search)
{
    const struct command_failure *failure = &search->work.failure;
    uint64_t failed = failed_runs(search);

    if (!failure->happened)
        return;
    if (failed > 0 && !search->failing)
        printf("%" PRIu64 " run%s in the table failed. ", failed, plural(failed));
    printf("The first that failed ");
    print_plain(failure->text);
    if (failure->input != NULL) {
        printf(", on input %" PRIu64 ", ", failure->line);
        print_plain(failure->input);
    }
    printf("\n");
    if (failure->tail[0] == '\0')
        return;
    printf("and ended with these words:\n");
    print_plain(failure->tail);
    if (failure->tail[strlen(failure->tail) - 1] != '\n')
        putchar('\n');
}

/* Wraps at 80 columns. */
static void print_wrapped(const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        if (column > 0 && column + 1 + word > 80) {
            putchar('\n');
            column = 0;
        }
        column += (size_t)printf("%s%.*s", column > 0 ? " " : "", (int)word, text);
        text += word;
        text += strspn(text, " ");
    }
    putchar('\n');
}

void command_print(const struct command_report *report)
{
    const struct command_search *search = report->search;

    print_command(search->work.words);
    print_runs(search);
    if (search->failing) {
        printf("All of them failed, so that nothing can be said about the command.\n");
    } else if (search->count > 0) {
        print_table(search);
        print_wrapped(report->text);
        print_notes(search);
    }
    print_failure(search);
}
