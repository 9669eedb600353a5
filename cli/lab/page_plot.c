/* SPDX-License-Identifier: MIT */
/* Throughput by workers, a line for each kind.
 *
 * The drawing has the height below in pixels, and is as wide as its column: positions along x are
 * per cent of that. So nothing in it is scaled, and text beside it (rates to the left, names to the
 * right) lies outside, in the drawing's margins.
 *
 * Twice the workers are one step along x. If the rates reach over a factor of twenty, twice the
 * rate is one step up, too, and what scales perfectly is a straight line. Serial has no workers to
 * choose, auto chooses them itself: both are lines across, auto's with a mark at what it chose. */
#include "page_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { TOP = 26, BOTTOM = 300, HEIGHT = 344, NAME_PX = 16, SERIES_MAX = 16, TICKS_MAX = 24 };

#define ASIDE    3   /* pixels from a line to the next */
#define LOG_FROM 20  /* largest rate over smallest */
#define MARGIN   3.5 /* per cent, before the first worker count and after the last */
#define APART    6.5 /* per cent between two labels of worker counts, at least */

struct axis {
    double min, max;
    bool log;
};

/* The rows of a kind, with or without a GIL: a slice of the results', by workers. */
struct series {
    const struct lab_row *rows;
    size_t count;
    double aside;  /* pixels along x, lest marks of equal rates hide one another */
    double end_y;  /* of its line, at the right */
    double name_y; /* near that, where no other name is */
};

struct plot {
    struct axis x, y;
    struct series series[SERIES_MAX];
    size_t count;
};

static double along(const struct axis *axis, double value)
{
    if (axis->max <= axis->min)
        return 0.5;
    if (axis->log)
        return value <= axis->min ? 0 : log(value / axis->min) / log(axis->max / axis->min);
    return (value - axis->min) / (axis->max - axis->min);
}

static double x_of(const struct plot *plot, double workers)
{
    return MARGIN + (100 - 2 * MARGIN) * along(&plot->x, workers);
}

static double y_of(const struct plot *plot, double rate)
{
    return BOTTOM - (BOTTOM - TOP) * along(&plot->y, rate);
}

/* A line across, whatever the workers. */
static bool across(const struct series *series)
{
    return series->rows[0].kind == WEFT_SERIAL || series->rows[0].kind == WEFT_AUTO;
}

static void find_series(struct plot *plot, const struct lab_results *results, enum lab_load load)
{
    struct series *last = NULL;

    for (size_t i = 0; i < results->row_count; i++) {
        const struct lab_row *row = &results->rows[i];
        if (row->load != load)
            continue;
        if (last == NULL || last->rows[0].kind != row->kind || last->rows[0].gil != row->gil) {
            if (plot->count == SERIES_MAX)
                return;
            last = &plot->series[plot->count++];
            last->rows = row;
        }
        last->count++;
    }
}

static void widen(struct axis *axis, double value)
{
    if (!(value > 0))
        return;
    axis->min = axis->max > 0 ? fmin(axis->min, value) : value;
    axis->max = fmax(axis->max, value);
}

static void find_axes(struct plot *plot)
{
    struct axis *y = &plot->y;

    for (size_t i = 0; i < plot->count; i++)
        for (size_t j = 0; j < plot->series[i].count; j++) {
            const struct lab_row *row = &plot->series[i].rows[j];
            if (row->kind != WEFT_SERIAL)
                widen(&plot->x, row->workers);
            widen(y, row->low);
            widen(y, row->high);
        }
    plot->x.log = true;
    y->log = y->max > LOG_FROM * y->min;
    y->min = y->log ? y->min / 1.3 : 0;
    y->max = y->log ? y->max * 1.2 : y->max * 1.06;
}

double page_step(double about)
{
    double unit = pow(10, floor(log10(about)));

    return about <= unit       ? unit
           : about <= 2 * unit ? 2 * unit
           : about <= 5 * unit ? 5 * unit
                               : 10 * unit;
}

/* What is written beside y: round numbers, five or so, or one to three for each power of ten. */
static size_t find_ticks(const struct axis *y, double ticks[TICKS_MAX])
{
    static const double digits[] = { 1, 2, 5 };
    size_t n = 0;

    if (!(y->max > 0))
        return 0;
    if (!y->log) {
        double step = page_step(y->max / 5);
        while ((double)n * step <= y->max && n < TICKS_MAX) {
            ticks[n] = (double)n * step;
            n++;
        }
        return n;
    }
    size_t used = y->max / y->min > 2000 ? 1 : 3;
    for (int tens = (int)floor(log10(y->min)); pow(10, tens) <= y->max; tens++)
        for (size_t i = 0; i < used && n < TICKS_MAX; i++)
            if (digits[i] * pow(10, tens) >= y->min && digits[i] * pow(10, tens) <= y->max)
                ticks[n++] = digits[i] * pow(10, tens);
    return n;
}

static void draw_y(FILE *to, const struct plot *plot)
{
    char number[HTML_NUMBER_BYTES];
    double ticks[TICKS_MAX];
    size_t n = find_ticks(&plot->y, ticks);

    for (size_t i = 0; i < n; i++) {
        double y = y_of(plot, ticks[i]);
        html(to, "<line class=\"grid\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"/>", y, y);
        html(to, "<text x=\"-8\" y=\"%.1f\" dy=\".35em\" text-anchor=\"end\">", y);
        if (ticks[i] >= 1000)
            html(to, "%s</text>\n", html_count(number, (unsigned long long)(ticks[i] + 0.5)));
        else
            html(to, "%g</text>\n", ticks[i]);
    }
    fputs("<text x=\"-36\" y=\"9\">calls a second</text>\n", to);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Every second label, from the last, is shown only where there is room for all. */
static void draw_label(FILE *to, double x, uint32_t workers, bool spare)
{
    html(to,
         "<line class=\"axis\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%d\" y2=\"%d\"/>"
         "<text%s x=\"%.2f%%\" y=\"%d\" text-anchor=\"middle\">%" PRIu32 "</text>\n",
         x, x, BOTTOM, BOTTOM + 5, spare ? " class=\"spare\"" : "", x, BOTTOM + 19, workers);
}

static void draw_labels(FILE *to, const struct plot *plot, uint32_t *workers, size_t n)
{
    size_t shown = 0;

    qsort(workers, n, sizeof workers[0], by_size);
    for (size_t i = 0; i < n; i++)
        if (shown == 0 || x_of(plot, workers[i]) - x_of(plot, workers[shown - 1]) >= APART)
            workers[shown++] = workers[i];
    for (size_t i = 0; i < shown; i++)
        draw_label(to, x_of(plot, workers[i]), workers[i], (shown - 1 - i) % 2 == 1);
}

/* The counts that were tried. */
static void draw_x(FILE *to, const struct plot *plot)
{
    uint32_t workers[256];
    size_t n = 0;

    for (size_t i = 0; i < plot->count; i++)
        for (size_t j = 0; j < plot->series[i].count && !across(&plot->series[i]); j++)
            if (n < sizeof workers / sizeof workers[0])
                workers[n++] = plot->series[i].rows[j].workers;
    html(to, "<line class=\"axis\" x2=\"100%%\" y1=\"%d\" y2=\"%d\"/>\n", BOTTOM, BOTTOM);
    draw_labels(to, plot, workers, n);
    html(to, "<text x=\"50%%\" y=\"%d\" text-anchor=\"middle\">workers</text>\n", HEIGHT - 6);
}

/* A mark, with its interval as a bar behind it. Browsers show a title to whoever points there. */
static void draw_point(FILE *to, const struct plot *plot, const struct lab_row *row)
{
    char rate[HTML_NUMBER_BYTES], low[HTML_NUMBER_BYTES], high[HTML_NUMBER_BYTES];
    double x = x_of(plot, row->workers);

    fputs("<g class=\"point\"", to);
    page_data(to, row);
    html(to, "><title>%s%s, %" PRIu32 " workers: %s calls a second (", weft_kind_name(row->kind),
         row->gil ? " under a GIL" : "", row->workers, html_number(rate, row->rate));
    if (row->runs > 1)
        html(to, "%s to %s)</title>", html_number(low, row->low), html_number(high, row->high));
    else
        fputs("one run)</title>", to);
    if (row->high > row->low)
        html(to, "<line class=\"bar\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%.1f\" y2=\"%.1f\"/>", x, x,
             y_of(plot, row->low), y_of(plot, row->high));
    html(to, "<use href=\"#mark-%s\" class=\"mark\" x=\"%.2f%%\" y=\"%.1f\"/></g>\n",
         weft_kind_name(row->kind), x, y_of(plot, row->rate));
}

static void draw_across(FILE *to, const struct plot *plot, const struct series *series)
{
    const struct lab_row *row = &series->rows[0];
    const char *kind = weft_kind_name(row->kind), *gil = row->gil ? " gil" : "";
    double y = y_of(plot, row->rate);

    if (row->high > row->low)
        html(to, "<rect class=\"band\" width=\"100%%\" y=\"%.1f\" height=\"%.1f\"/>",
             y_of(plot, row->high), y_of(plot, row->low) - y_of(plot, row->high));
    html(to, "<line class=\"run %s%s\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"/>\n", kind, gil, y, y);
    if (row->kind == WEFT_AUTO)
        draw_point(to, plot, row);
}

static void draw_line(FILE *to, const struct plot *plot, const struct series *series)
{
    const struct lab_row *rows = series->rows, *last = &rows[series->count - 1];

    for (size_t i = 1; i < series->count; i++)
        html(to, "<line class=\"run%s\" x1=\"%.2f%%\" y1=\"%.1f\" x2=\"%.2f%%\" y2=\"%.1f\"/>\n",
             rows[0].gil ? " gil" : "", x_of(plot, rows[i - 1].workers),
             y_of(plot, rows[i - 1].rate), x_of(plot, rows[i].workers), y_of(plot, rows[i].rate));
    html(to, "<line class=\"tail\" x1=\"%.2f%%\" x2=\"100%%\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
         x_of(plot, last->workers), y_of(plot, last->rate), y_of(plot, last->rate));
    for (size_t i = 0; i < series->count; i++)
        draw_point(to, plot, &rows[i]);
}

static int by_end(const void *a, const void *b)
{
    double x = (*(struct series *const *)a)->end_y;
    double y = (*(struct series *const *)b)->end_y;

    return (x > y) - (x < y);
}

static void move_aside(struct plot *plot)
{
    size_t lines = 0, before = 0;

    for (size_t i = 0; i < plot->count; i++)
        lines += !across(&plot->series[i]);
    for (size_t i = 0; i < plot->count; i++)
        if (!across(&plot->series[i]))
            plot->series[i].aside = ASIDE * ((double)before++ - ((double)lines - 1) / 2);
}

/* Each name beside the end of its line, or as near as the others let it: down the page first, then
 * back up from its end. */
static void place_names(struct plot *plot)
{
    struct series *order[SERIES_MAX];
    double free_y = TOP - NAME_PX;

    for (size_t i = 0; i < plot->count; i++) {
        struct series *series = order[i] = &plot->series[i];
        series->end_y = y_of(plot, series->rows[across(series) ? 0 : series->count - 1].rate);
    }
    qsort((void *)order, plot->count, sizeof order[0], by_end);
    for (size_t i = 0; i < plot->count; i++)
        free_y = order[i]->name_y = fmax(order[i]->end_y, free_y + NAME_PX);
    free_y = BOTTOM + NAME_PX;
    for (size_t i = plot->count; i-- > 0;)
        free_y = order[i]->name_y = fmin(order[i]->name_y, free_y - NAME_PX);
}

static void draw_name(FILE *to, const struct series *series)
{
    const struct lab_row *row = &series->rows[0];
    const char *kind = weft_kind_name(row->kind);

    html(to,
         "<svg x=\"100%%\" overflow=\"visible\" class=\"%s%s\"><line class=\"leader\" x1=\"2\" "
         "x2=\"11\" y1=\"%.1f\" y2=\"%.1f\"/><use href=\"#mark-%s\" class=\"mark\" x=\"18\" "
         "y=\"%.1f\"/><text class=\"name\" x=\"28\" y=\"%.1f\" dy=\".35em\">%s%s</text></svg>\n",
         kind, row->gil ? " gil" : "", series->end_y, series->name_y, kind, series->name_y,
         series->name_y, kind, row->gil ? ", GIL" : "");
}

/* For those who do not see it: each line by its ends. */
static void describe(FILE *to, const struct plot *plot)
{
    char first[HTML_NUMBER_BYTES], last[HTML_NUMBER_BYTES];

    for (size_t i = 0; i < plot->count; i++) {
        const struct series *series = &plot->series[i];
        const struct lab_row *a = &series->rows[0], *b = &series->rows[series->count - 1];
        html(to, "%s%s: %s calls a second", weft_kind_name(a->kind), a->gil ? " under a GIL" : "",
             html_number(first, a->rate));
        if (series->count > 1)
            html(to, " with %" PRIu32 " workers, %s with %" PRIu32, a->workers,
                 html_number(last, b->rate), b->workers);
        fputs(". ", to);
    }
}

static void draw(FILE *to, const struct plot *plot, enum lab_load load)
{
    const char *id = lab_load_name(load);

    html(to,
         "<svg class=\"plot\" height=\"%d\" role=\"img\" aria-labelledby=\"%s-plot %s-ends\">\n"
         "<title id=\"%s-plot\">%s: throughput by workers</title>\n<desc id=\"%s-ends\">",
         HEIGHT, id, id, id, lab_load_title(load), id);
    describe(to, plot);
    fputs("</desc>\n", to);
    draw_y(to, plot);
    draw_x(to, plot);
    for (size_t i = 0; i < plot->count; i++) {
        const struct series *series = &plot->series[i];
        html(to, "<g class=\"%s%s\" transform=\"translate(%g 0)\">\n",
             weft_kind_name(series->rows[0].kind), series->rows[0].gil ? " gil" : "",
             series->aside);
        if (across(series))
            draw_across(to, plot, series);
        else
            draw_line(to, plot, series);
        fputs("</g>\n", to);
    }
    for (size_t i = 0; i < plot->count; i++)
        draw_name(to, &plot->series[i]);
    fputs("</svg>\n", to);
}

void page_plot(FILE *to, const struct lab_results *results, enum lab_load load)
{
    struct plot plot = { 0 };

    find_series(&plot, results, load);
    if (plot.count == 0)
        return;
    find_axes(&plot);
    move_aside(&plot);
    place_names(&plot);
    html(to,
         "<figure>\n<figcaption><strong>%s: throughput by workers</strong>, %s. Bars: 95 %% "
         "interval. "
         "Lines across: serial, and auto, with a mark at the workers that it chose. Dashed and "
         "hollow: under a GIL.</figcaption>\n",
         lab_load_title(load), plot.y.log ? "both axes logarithmic" : "workers logarithmic");
    draw(to, &plot, load);
    fputs("</figure>\n", to);
}
