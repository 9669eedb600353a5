/* SPDX-License-Identifier: MIT */
/* What is printed.
 *
 * Lines for stdout are collected in stdio's buffer and written when the driver is about to wait, so
 * a slow fetch shows each line at once and a fast one writes many with one system call. A failure's
 * line on stderr is written at once, after what is due on stdout, so that both in one terminal come
 * in order. The progress line is drawn at most ten times a second, and taken away before anything
 * else is written to the terminal. */
#include "output.h"

#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { STDOUT_BUFFER_BYTES = 65536 };

#define DRAW_EVERY_NS (100 * WEFT_MS)

void output_init(struct output *output, const struct settings *settings)
{
    static char buffer[STDOUT_BUFFER_BYTES];

    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    *output = (struct output){
        .json = settings->json,
        .terminal = !settings->quiet && isatty(STDERR_FILENO) == 1,
        .started_ns = weft_now(),
        .next_draw_ns = INT64_MAX,
    };
    if (output->terminal)
        output->next_draw_ns = output->started_ns;
}

void output_clear(struct output *output)
{
    if (output->shown)
        fputs("\r\033[K", stderr);
    output->shown = false;
}

int output_flush(struct output *output)
{
    if (output->error != 0)
        return output->error;
    if (fflush(stdout) != 0 || ferror(stdout))
        output->error = errno != 0 ? -errno : -EIO;
    return output->error;
}

/* How many bytes of the text, from its start, can neither be nor begin what is not shown. */
static size_t plain_bytes(const char *text)
{
    size_t n = 0;

    for (unsigned char c = (unsigned char)text[0]; c >= ' ' && c != 0x7f && c != 0xc2;)
        c = (unsigned char)text[++n];
    return n;
}

/* What would move a terminal's cursor, from a URL or a server, is shown as '?': the control
 * characters of ASCII, and U+0080 to U+009F, which in UTF-8 are two bytes. */
static void print_text(FILE *to, const char *text)
{
    for (;;) {
        size_t plain = plain_bytes(text);
        fwrite_unlocked(text, 1, plain, to);
        text += plain;
        if (*text == '\0')
            return;
        bool lead = (unsigned char)text[0] == 0xc2;
        bool high = lead && ((unsigned char)text[1] & 0xe0) == 0x80;
        putc_unlocked(lead && !high ? *text : '?', to);
        text += high ? 2 : 1;
    }
}

static void print_number(FILE *to, unsigned number)
{
    char digits[12];
    char *first = digits + sizeof digits;

    do
        *--first = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    fwrite_unlocked(first, 1, (size_t)(digits + sizeof digits - first), to);
}

/* The line of which a fast fetch prints tens of thousands in a second: printf() is not asked. */
static void print_fetched(const struct ending *ending)
{
    flockfile(stdout);
    fputs_unlocked("Fetched ", stdout);
    print_text(stdout, ending->url);
    fputs_unlocked(" with status ", stdout);
    print_number(stdout, (unsigned)ending->result->status);
    putc_unlocked('\n', stdout);
    funlockfile(stdout);
}

static void print_failed(struct output *output, const struct ending *ending)
{
    char *line = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&line, &size); /* one write for the whole line */

    (void)output_flush(output);
    if (to == NULL)
        return;
    fputs("Failed ", to);
    print_text(to, ending->url);
    fputs(": ", to);
    print_text(to, result_reason(ending->result));
    if (ending->source != NULL) {
        fputs(" (", to);
        print_text(to, ending->source);
        fprintf(to, ", line %" PRIu64 ")", ending->line);
    }
    if (ending->attempts > 1)
        fprintf(to, " (after %" PRIu32 " attempts)", ending->attempts);
    fputc('\n', to);
    if (fclose(to) == 0)
        fputs(line, stderr);
    free(line);
}

void output_line(struct output *output, const struct ending *ending)
{
    output_clear(output);
    if (output->json)
        json_print(stdout, ending);
    else if (ending->result->failure == FAILURE_NONE)
        print_fetched(ending);
    else
        print_failed(output, ending);
}

static double seconds_since(int64_t ns)
{
    return (double)(weft_now() - ns) / (double)WEFT_S;
}

static void print_eta(FILE *to, uint64_t left, double rate)
{
    uint64_t s = rate > 0 ? (uint64_t)((double)left / rate + 0.5) : 0;

    if (rate > 0)
        fprintf(to, ", ETA %" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
}

/* One less than the terminal's columns, or the terminal's end would wrap the line to a second one,
 * which output_clear() does not reach. */
static int columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
}

static void draw(const struct counts *counts, uint64_t done, uint64_t total, double rate)
{
    char line[256] = "";
    FILE *to = fmemopen(line, sizeof line, "w");

    if (to == NULL)
        return;
    fprintf(to, "%" PRIu64, done);
    if (total > 0)
        fprintf(to, " of %" PRIu64, total);
    fprintf(to, " done, %" PRIu64 " failed, %.1f/s", counts->failed, rate);
    if (total > done)
        print_eta(to, total - done, rate);
    fclose(to);
    fprintf(stderr, "\r\033[K%.*s", columns(), line);
}

void output_progress(struct output *output, const struct counts *counts, uint64_t total)
{
    uint64_t done = counts->fetched + counts->failed;
    int64_t now = weft_now();

    if (now < output->next_draw_ns)
        return;
    output->next_draw_ns = now + DRAW_EVERY_NS;
    double seconds = seconds_since(output->started_ns);
    double rate = seconds > 0 ? (double)done / seconds : 0;
    (void)output_flush(output); /* before the line that it would scroll away */
    draw(counts, done, total, rate);
    output->shown = true;
}

static void print_left(const struct counts *counts, bool all)
{
    if (counts->stopped > 0)
        fprintf(stderr, ", %" PRIu64 " stopped", counts->stopped);
    fprintf(stderr, ", %" PRIu64 " not started%s", counts->not_started,
            all ? "" : " (the input was not read to its end)");
}

void output_interrupted(struct output *output, const struct counts *counts, bool all)
{
    output_clear(output);
    fprintf(stderr, "Interrupted: %" PRIu64 " fetched, %" PRIu64 " failed", counts->fetched,
            counts->failed);
    print_left(counts, all);
    fputc('\n', stderr);
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void print_deaths(const struct deaths *deaths, uint64_t rescued)
{
    bool one = deaths->count == 1;

    fprintf(stderr, "; %" PRIu64 " worker process%s ", deaths->count, one ? "" : "es");
    if (deaths->signal != 0)
        fprintf(stderr, "%s killed by signal %d", one ? "was" : "were", deaths->signal);
    else
        fputs("died", stderr);
    if (rescued > 0)
        fprintf(stderr, "; %" PRIu64 " URL%s tried again", rescued,
                rescued == 1 ? " was" : "s were");
}

/* In the words of the command line. */
static void print_explanation(const char *explanation)
{
    static const char *const words[][2] = { { "options.workers is 0", "-j is not given" },
                                            { "options.workers", "-j" } };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const char *at = strstr(explanation, words[i][0]);

        if (at == NULL)
            continue;
        fprintf(stderr, "auto: %.*s%s%s\n", (int)(at - explanation), explanation, words[i][1],
                at + strlen(words[i][0]));
        return;
    }
    fprintf(stderr, "auto: %s\n", explanation);
}

/* What the summary's line begins with; of kind auto, a line before it. */
static void print_workers(const struct settings *settings, const char *explanation)
{
    if (settings->kind == WEFT_AUTO) {
        print_explanation(explanation);
        fputs("auto", stderr);
    } else {
        fprintf(stderr, "%s, %" PRIu64 " worker%s", weft_kind_name(settings->kind),
                settings->workers, plural(settings->workers));
    }
}

void output_summary(struct output *output, const struct settings *settings,
                    const struct counts *counts, const struct deaths *deaths,
                    const char *explanation, bool all)
{
    double seconds = seconds_since(output->started_ns);
    double rate = seconds > 0 ? (double)(counts->fetched + counts->failed) / seconds : 0;

    output_clear(output);
    print_workers(settings, explanation);
    fprintf(stderr, ": %" PRIu64 " fetched, %" PRIu64 " failed", counts->fetched, counts->failed);
    if (counts->stopped > 0 || counts->not_started > 0 || !all) /* it could not go on */
        print_left(counts, all);
    fprintf(stderr, " in %.2f s (%.1f URLs/s)", seconds, rate);
    if (counts->retries > 0)
        fprintf(stderr, "; %" PRIu64 " tried again", counts->retries);
    if (deaths->count > 0)
        print_deaths(deaths, counts->rescued);
    fputc('\n', stderr);
}
