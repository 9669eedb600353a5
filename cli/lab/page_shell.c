/* SPDX-License-Identifier: MIT */
/* What stands around the loads: head, title, machine, verdicts at a glance, how it was measured. */
#include "page_parts.h"

#include <inttypes.h>

#define OTHERS_SHOWN 0.1 /* CPUs */

/* The policy holds the page to its promise: whatever it tried to load, a browser would refuse. The
 * marks of the kinds are drawn here once; each takes the colour of where it is used. */
static const char head[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
    "style-src 'unsafe-inline'; img-src data:\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' "
    "viewBox='0 0 16 16'%3E%3Cpath d='M1 4h9M6 8h9M3 12h8' stroke='%230069b4' stroke-width='3'/"
    "%3E%3C/svg%3E\">\n"
    "<title>weft lab: threads, processes or tasks?</title>\n";

static const char marks[] =
    "</head>\n"
    "<body>\n"
    "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>\n"
    "<path id=\"mark-serial\" d=\"M-5 0h10\"/>\n"
    "<circle id=\"mark-threads\" r=\"4\"/>\n"
    "<path id=\"mark-tasks\" d=\"M0 -4.8L4.7 3.6H-4.7z\"/>\n"
    "<path id=\"mark-processes\" d=\"M-3.7 -3.7h7.4v7.4h-7.4z\"/>\n"
    "<path id=\"mark-auto\" d=\"M0 -5.4L5.4 0L0 5.4L-5.4 0z\"/>\n"
    "</defs></svg>\n";

/* "2026-11-23T22:55:01Z" as people write it; whatever else it may be as it is. */
static void print_date(FILE *to, const char *date)
{
    static const char *const months[] = { "January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December" };
    unsigned year, month, day, hour, minute;

    if (sscanf(date, "%4u-%2u-%2uT%2u:%2u", &year, &month, &day, &hour, &minute) == 5 &&
        month >= 1 && month <= 12)
        html(to, "<time datetime=\"%s\">%u %s %u, %02u:%02u UTC</time>", date, day,
             months[month - 1], year, hour, minute);
    else
        html(to, "<time>%s</time>", date);
}

static void print_fact(FILE *to, const char *name, const char *value)
{
    if (value[0] != '\0')
        html(to, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, value);
}

static void print_facts(FILE *to, const struct lab_results *results)
{
    const struct lab_machine *machine = &results->machine;
    char number[HTML_NUMBER_BYTES];

    fputs("<dl class=\"facts\">\n", to);
    print_fact(to, "Processor", machine->cpu);
    html(to, "<div><dt>CPUs</dt><dd>%" PRIu32, machine->cpus);
    if (machine->quota > 0)
        html(to, ", a quota of %s", html_number(number, machine->quota));
    html(to, "</dd></div>\n<div><dt>Memory</dt><dd>%.1f GiB</dd></div>\n",
         (double)machine->memory_bytes / (1 << 30));
    print_fact(to, "Kernel", machine->kernel);
    fputs("<div><dt>Measured</dt><dd>", to);
    print_date(to, results->date);
    html(to, ", in %.0f s</dd></div>\n", results->seconds);
    print_fact(to, "weft", results->version);
    fputs("</dl>\n", to);
}

static void print_card(FILE *to, const struct lab_row *best, const struct lab_row *serial)
{
    const char *kind = weft_kind_name(best->kind);
    char number[HTML_NUMBER_BYTES];

    html(to, "<li><a class=\"card %s\" href=\"#%s\"><h3>%s</h3>\n<strong>", kind,
         lab_load_name(best->load), lab_load_title(best->load));
    html(to,
         "<svg width=\"16\" height=\"14\" viewBox=\"-8 -7 16 14\" aria-hidden=\"true\">"
         "<use href=\"#mark-%s\" class=\"mark%s\"/></svg>",
         kind, best->gil ? " gil" : "");
    html(to, best->kind == WEFT_SERIAL ? "%s" : "%s × %" PRIu32, kind, best->workers);
    html(to, "</strong>\n<span>%s calls/s</span>\n", html_number(number, best->rate));
    if (serial != NULL && serial != best && serial->rate > 0)
        html(to, "<span class=\"soft\">%s times serial</span>\n", page_times(number, best, serial));
    fputs("</a></li>\n", to);
}

static void print_notes(FILE *to, const struct lab_results *results)
{
    if (results->interrupted)
        fputs("<p>It was interrupted: some measurements are missing.</p>\n", to);
    else if (results->cut)
        fputs("<p>The time was over before every interval was tight; a longer <code>--time</code> "
              "gives closer figures.</p>\n",
              to);
    if (results->others > OTHERS_SHOWN)
        html(to,
             "<p>Other programs used %.1f CPUs meanwhile: the figures would be better without "
             "them.</p>\n",
             results->others);
    if (results->timeline_count > 0)
        fputs("<p>Further down: <a href=\"#timelines\">who computes when</a>", to);
    if (results->race.threads > 0)
        html(to, "%s<a href=\"#race\">a data race, and the lock that stops it</a>",
             results->timeline_count > 0 ? ", and " : "<p>Further down: ");
    if (results->timeline_count > 0 || results->race.threads > 0)
        fputs(".</p>\n", to);
}

void page_begin(FILE *to, const struct lab_results *results)
{
    fputs(head, to);
    page_style(to);
    fputs(marks, to);
    fputs("<header>\n<p class=\"over\">weft lab</p>\n"
          "<h1>Threads, processes or tasks? And how many?</h1>\n"
          "<p class=\"lead\">It depends on what the calls do: so each kind was measured with "
          "calls that wait, calls that compute, and both. On this machine these win:</p>\n"
          "<ul class=\"cards\">\n",
          to);
    for (size_t i = 0; i < results->verdict_count; i++) {
        enum lab_load load = results->verdicts[i].load;
        if (page_best(results, load) != NULL)
            print_card(to, page_best(results, load), page_serial(results, load));
    }
    fputs("</ul>\n", to);
    print_facts(to, results);
    print_notes(to, results);
    fputs("</header>\n<main>\n", to);
}

void page_end(FILE *to, const struct lab_results *results)
{
    fputs("</main>\n<footer>\n<h2>How it was measured</h2>\n"
          "<p>Every configuration ran in turns with the others, again and again until its interval "
          "was tight or the time was over. A rate is the median of the runs; the interval holds "
          "the median with 95 % confidence. CPUs is the CPU time that all workers took together "
          "in a second, waiting the share of the workers’ time in which no CPU worked for them."
          "</p>\n"
          "<p>With a GIL, a global interpreter lock as Python has it, only the call that holds it "
          "computes; waiting gives it up. Threads and tasks share one, each process has its "
          "own.</p>\n",
          to);
    html(to,
         "<p>Made by weft %s, <code>weft lab --html FILE</code>. This page is complete: it "
         "runs no script and loads nothing.</p>\n</footer>\n</body>\n</html>\n",
         results->version);
}
