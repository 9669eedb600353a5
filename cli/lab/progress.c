/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include "format.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <weft.h>

#define DRAW_EVERY_NS (100 * WEFT_MS)

void progress_init(struct progress *progress, bool quiet, int64_t end_ns)
{
    *progress = (struct progress){
        .terminal = !quiet && isatty(STDERR_FILENO) == 1,
        .end_ns = end_ns,
    };
}

/* One less than the terminal's columns, or its end would wrap the line to a second one, which
 * progress_clear() does not reach. */
static int columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
}

/* "; at most 1:05 left", if that is known. */
static void add_time_left(const struct progress *progress, int64_t now, struct lab_text *line)
{
    int64_t left_s = progress->end_ns > now ? (progress->end_ns - now + WEFT_S - 1) / WEFT_S : 0;

    if (progress->end_ns > 0)
        lab_say(line, "; at most %" PRId64 ":%02" PRId64 " left", left_s / 60, left_s % 60);
}

void progress_show(struct progress *progress, const char *format, ...)
{
    char what[160];
    char line[224];
    struct lab_text text = { line, sizeof line };
    int64_t now = weft_now();
    va_list args;

    if (!progress->terminal || now < progress->next_draw_ns)
        return;
    progress->next_draw_ns = now + DRAW_EVERY_NS;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    lab_say(&text, "%s", what);
    add_time_left(progress, now, &text);
    fprintf(stderr, "\r\033[K%.*s", columns(), line);
    progress->shown = true;
}

void progress_clear(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}
