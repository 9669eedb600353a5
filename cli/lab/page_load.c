/* SPDX-License-Identifier: MIT */
/* A load's section: what its calls do, who wins, the plot, and all figures. */
#include "page_parts.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

static const char *const what[LAB_LOADS] = {
    [LAB_IO] = "Each call fetches a page that is answered after 50 ms, and waits for it.",
    [LAB_CPU] = "Each call computes for about 2 ms.",
    [LAB_MIXED] = "Each call fetches a page, answered after 5 ms, then computes for about 5 ms.",
    [LAB_CHANGING] =
        "The calls of the first half wait for pages, those of the second half compute.",
};

const char *page_worker_name(weft_kind kind)
{
    switch (kind) {
    case WEFT_THREADS:
        return "thread";
    case WEFT_TASKS:
        return "task";
    case WEFT_PROCESSES:
        return "process";
    default:
        return "worker";
    }
}

static const struct lab_verdict *find_verdict(const struct lab_results *results, enum lab_load load)
{
    for (size_t i = 0; i < results->verdict_count; i++)
        if (results->verdicts[i].load == load)
            return &results->verdicts[i];
    return NULL;
}

const struct lab_row *page_best(const struct lab_results *results, enum lab_load load)
{
    const struct lab_verdict *verdict = find_verdict(results, load);

    return verdict != NULL && verdict->best < results->row_count ? &results->rows[verdict->best]
                                                                 : NULL;
}

const struct lab_row *page_serial(const struct lab_results *results, enum lab_load load)
{
    for (size_t i = 0; i < results->row_count; i++) {
        const struct lab_row *row = &results->rows[i];
        if (row->load == load && row->kind == WEFT_SERIAL && !row->gil)
            return row;
    }
    return NULL;
}

const char *page_times(char buffer[HTML_NUMBER_BYTES], const struct lab_row *row,
                       const struct lab_row *serial)
{
    double times = serial != NULL && serial->rate > 0 ? row->rate / serial->rate : -1;

    if (times < 0 || times >= 99.95)
        return html_number(buffer, times);
    snprintf(buffer, HTML_NUMBER_BYTES, "%.*f", times < 9.995 ? 2 : 1, times);
    return buffer;
}

void page_data(FILE *to, const struct lab_row *row)
{
    html(to,
         " data-load=\"%s\" data-kind=\"%s\" data-workers=\"%" PRIu32 "\" data-gil=\"%s\""
         " data-runs=\"%zu\" data-rate=\"%.17g\" data-cpus=\"%.17g\" data-waiting=\"%.17g\"",
         lab_load_name(row->load), weft_kind_name(row->kind), row->workers,
         row->gil ? "true" : "false", row->runs, row->rate, row->cpus, row->waiting);
    if (row->runs > 1)
        html(to, " data-low=\"%.17g\" data-high=\"%.17g\"", row->low, row->high);
}

static void print_name(FILE *to, const struct lab_row *row)
{
    const char *kind = weft_kind_name(row->kind);

    html(to,
         "<th scope=\"row\"><svg class=\"%s\" width=\"14\" height=\"12\" viewBox=\"-7 -6 14 12\" "
         "aria-hidden=\"true\"><use href=\"#mark-%s\" class=\"mark%s\"/></svg>%s%s</th>",
         kind, kind, row->gil ? " gil" : "", kind, row->gil ? ", GIL" : "");
}

static void print_row(FILE *to, const struct lab_row *row, const struct lab_row *serial, bool best)
{
    char number[HTML_NUMBER_BYTES], other[HTML_NUMBER_BYTES];

    fputs(best ? "<tr class=\"best\"" : "<tr", to);
    page_data(to, row);
    fputc('>', to);
    print_name(to, row);
    html(to, "<td>%" PRIu32 "</td>", row->workers);
    html(to, "<td>%s</td>", html_number(number, row->rate));
    html(to, "<td>%s</td>", page_times(number, row, serial));
    html(to, "<td>%.2f</td><td>%.0f %%</td>", row->cpus, 100 * row->waiting);
    if (row->runs > 1)
        html(to, "<td class=\"soft\">%s to %s%s</td>", html_number(number, row->low),
             html_number(other, row->high), row->tight ? "" : " †");
    else
        fputs("<td class=\"soft\">one run</td>", to);
    html(to, "<td>%zu</td></tr>\n", row->runs);
}

static bool same_group(const struct lab_row *a, const struct lab_row *b)
{
    return a->kind == b->kind && a->gil == b->gil;
}

static bool any_loose(const struct lab_results *results, enum lab_load load)
{
    for (size_t i = 0; i < results->row_count; i++) {
        const struct lab_row *row = &results->rows[i];
        if (row->load == load && row->runs > 1 && !row->tight)
            return true;
    }
    return false;
}

void page_table(FILE *to, const struct lab_results *results, enum lab_load load)
{
    const struct lab_row *best = page_best(results, load), *serial = page_serial(results, load);
    const struct lab_row *before = NULL;

    html(to,
         "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"%s: all figures\">\n"
         "<table id=\"%s-table\">\n<caption><span><strong>%s: all figures.</strong> Rates are "
         "calls a second%s.%s</span></caption>\n",
         lab_load_title(load), lab_load_name(load), lab_load_title(load),
         any_loose(results, load) ? "; † reaches more than 5 % to a side" : "",
         best != NULL ? " The winner is highlighted." : "");
    fputs("<thead><tr><th scope=\"col\">Kind</th><th scope=\"col\">Workers</th>"
          "<th scope=\"col\">Calls/s</th><th scope=\"col\">× serial</th>"
          "<th scope=\"col\">CPUs</th><th scope=\"col\">Waiting</th>"
          "<th scope=\"col\">95 % interval</th><th scope=\"col\">Runs</th></tr></thead>\n",
          to);
    for (size_t i = 0; i < results->row_count; i++) {
        const struct lab_row *row = &results->rows[i];
        if (row->load != load)
            continue;
        if (before == NULL || !same_group(before, row))
            fputs(before == NULL ? "<tbody>\n" : "</tbody>\n<tbody>\n", to);
        print_row(to, row, serial, row == best);
        before = row;
    }
    fputs("</tbody>\n</table>\n</div>\n", to);
}

/* Kind auto says itself why it chose what it chose. */
static void print_explanations(FILE *to, const struct lab_results *results, enum lab_load load)
{
    for (size_t i = 0; i < results->row_count; i++) {
        const struct lab_row *row = &results->rows[i];
        if (row->load != load || row->explain[0] == '\0')
            continue;
        html(to,
             "<p class=\"said auto\"><svg class=\"inline\" width=\"16\" height=\"12\" "
             "viewBox=\"-8 -6 16 12\" aria-hidden=\"true\"><use href=\"#mark-auto\" "
             "class=\"mark%s\"/>"
             "</svg><strong>auto%s</strong> says: <q>%s</q></p>\n",
             row->gil ? " gil" : "", row->gil ? ", under a GIL" : "", row->explain);
    }
}

/* "I/O-bound: 64 threads win" stands below a heading that says the first half. */
static const char *without_title(const struct lab_verdict *verdict)
{
    const char *title = lab_load_title(verdict->load);
    size_t length = strlen(title);

    if (strncasecmp(verdict->text, title, length) == 0 &&
        strncmp(verdict->text + length, ": ", 2) == 0)
        return verdict->text + length + 2;
    return verdict->text;
}

/* "threads", whose colour the verdict has; "" without a winner. */
static const char *winner(const struct lab_results *results, const struct lab_verdict *verdict)
{
    return verdict->best < results->row_count ? weft_kind_name(results->rows[verdict->best].kind)
                                              : "";
}

static bool was_run(const struct lab_results *results, enum lab_load load)
{
    for (size_t i = 0; i < results->row_count; i++)
        if (results->rows[i].load == load)
            return true;
    return false;
}

void page_load(FILE *to, const struct lab_results *results, enum lab_load load)
{
    const struct lab_verdict *verdict = find_verdict(results, load);
    const char *id = lab_load_name(load);

    if (!was_run(results, load))
        return;
    html(to, "<section id=\"%s\" aria-labelledby=\"%s-title\">\n<h2 id=\"%s-title\">%s</h2>\n", id,
         id, id, lab_load_title(load));
    html(to, "<p class=\"soft\">%s</p>\n", what[load]);
    if (verdict != NULL)
        html(to, "<p class=\"verdict %s\">%s</p>\n", winner(results, verdict),
             without_title(verdict));
    page_plot(to, results, load);
    print_explanations(to, results, load);
    page_table(to, results, load);
    fputs("</section>\n", to);
}
