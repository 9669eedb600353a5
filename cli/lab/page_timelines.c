/* SPDX-License-Identifier: MIT */
/* Timelines: a lane for each worker, and below them one for each CPU.
 *
 * Concurrency is when several workers are under way: on one CPU they take turns. Parallelism is
 * when they compute at the same moment, which takes several CPUs. A block is computing; its colour
 * and its stripes say on which CPU, and the same block lies in that CPU's lane. A thin line is
 * waiting.
 *
 * Lanes are drawn in an inner drawing of LANE_COLUMNS by the height in pixels, which is stretched
 * to the width that there is; strokes along x keep their height. Labels are outside it. */
#include "page_parts.h"
#include "page_lanes.h"

#include <inttypes.h>

enum { TOP = 4, WORKERS_MAX = 64, BETWEEN = 10, AXIS_PX = 26, ROOMY_PX = 12, STRIPED_PX = 8 };

#define SAME_SCALE 8 /* timelines of a load share their scale if none is shorter by more */

struct drawing {
    const struct lab_timeline *timeline;
    const struct lane_cpus *page; /* CPUs of all timelines */
    struct lane_cpus cpus;        /* of this one */
    struct lane_facts facts;
    size_t number; /* on the page: part of what must be unique there */
    uint32_t workers;
    int64_t end_ns;   /* of the axis */
    int pitch, thick; /* of a lane, in pixels */
};

static int pitch_for(uint32_t workers)
{
    return workers <= 8 ? 20 : workers <= 16 ? 13 : workers <= 32 ? 7 : 4;
}

static int lanes_bottom(const struct drawing *d)
{
    return TOP + (int)d->workers * d->pitch;
}

static int cpus_top(const struct drawing *d)
{
    return lanes_bottom(d) + BETWEEN;
}

static int height(const struct drawing *d)
{
    return cpus_top(d) + (int)d->cpus.count * 20;
}

/* Stripes of paper over the blocks of all CPUs but the first: one on the second's, and so on. They
 * are the same path once more, which has no colour of its own. */
static void draw_stripes(FILE *to, const struct drawing *d, size_t lane, unsigned look, int thick)
{
    for (unsigned i = 1; i <= look; i++)
        html(to, "<use href=\"#t%zu-%zu-%u\" class=\"gap\" y=\"%.1f\" stroke-width=\"1.5\"/>",
             d->number, lane, look, thick * ((double)i / (look + 1) - 0.5));
}

static void draw_look(FILE *to, const struct drawing *d, size_t number, const struct lane *lane,
                      unsigned look, int thick)
{
    unsigned char shown = (unsigned char)(LANE_COMPUTING + look);

    if (!lane_shows(lane, shown))
        return;
    html(to, "<g class=\"cpu%u\" stroke-width=\"%d\"><path id=\"t%zu-%zu-%u\" d=\"", look, thick,
         d->number, number, look);
    lane_path(to, lane, shown);
    fputs("\"/></g>", to);
    if (thick >= STRIPED_PX)
        draw_stripes(to, d, number, look, thick);
}

static void draw_lane(FILE *to, const struct drawing *d, size_t number, const struct lane *lane,
                      int top, int pitch, int thick)
{
    html(to, "<g class=\"lane\" transform=\"translate(0 %.1f)\">", top + pitch / 2.0);
    if (lane_shows(lane, LANE_WAITING)) {
        html(to, "<path class=\"wait\" stroke-width=\"%.1f\" d=\"",
             thick >= STRIPED_PX ? 2.5 : 1.0);
        lane_path(to, lane, LANE_WAITING);
        fputs("\"/>", to);
    }
    for (unsigned look = 0; look < LANE_LOOKS; look++)
        draw_look(to, d, number, lane, look, thick);
    fputs("</g>\n", to);
}

static void draw_lanes(FILE *to, const struct drawing *d)
{
    struct lane lane;

    html(to,
         "<svg width=\"100%%\" height=\"%d\" viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\">\n",
         height(d), LANE_COLUMNS, height(d));
    for (uint32_t worker = 0; worker < d->workers; worker++) {
        lane_of_worker(d->timeline, d->page, worker, d->end_ns, &lane);
        draw_lane(to, d, worker, &lane, TOP + (int)worker * d->pitch, d->pitch, d->thick);
    }
    for (size_t i = 0; i < d->cpus.count; i++) {
        lane_of_cpu(d->timeline, d->page, d->cpus.at[i], d->end_ns, &lane);
        draw_lane(to, d, d->workers + i, &lane, cpus_top(d) + (int)i * 20, 20, 14);
    }
    fputs("</svg>\n", to);
}

static void draw_label(FILE *to, double y, const char *name, uint32_t number)
{
    html(to, "<text x=\"-8\" y=\"%.1f\" dy=\".35em\" text-anchor=\"end\">%s %" PRIu32 "</text>\n",
         y, name, number);
}

/* All lanes if there is room, otherwise the first and the last. */
static void draw_labels(FILE *to, const struct drawing *d)
{
    const char *name = page_worker_name(d->timeline->kind);

    for (uint32_t worker = 0; worker < d->workers; worker++)
        if (d->pitch >= ROOMY_PX || worker == 0 || worker + 1 == d->workers)
            draw_label(to, TOP + (worker + 0.5) * d->pitch, name, worker + 1);
    for (size_t i = 0; i < d->cpus.count; i++)
        draw_label(to, cpus_top(d) + 20 * ((double)i + 0.5), "CPU", d->cpus.at[i]);
}

static void draw_axis(FILE *to, const struct drawing *d)
{
    double end_ms = (double)d->end_ns / 1e6, step = page_step(end_ms / 5);
    int bottom = height(d) + 4;

    for (int i = 0; i * step <= end_ms; i++) {
        double x = 100 * i * step / end_ms;
        html(to, "<line class=\"grid\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"0\" y2=\"%d\"/>", x, x,
             bottom);
        html(to, "<text x=\"%.2f%%\" y=\"%d\" text-anchor=\"%s\">%g%s</text>\n", x, bottom + 16,
             x > 94   ? "end"
             : i == 0 ? "start"
                      : "middle",
             i * step, i == 0 ? " ms" : "");
    }
    html(to, "<line class=\"axis\" x2=\"100%%\" y1=\"%d\" y2=\"%d\"/>\n", bottom, bottom);
}

static void print_waits(FILE *to, const struct lane_facts *facts)
{
    html(to,
         "Thin lines lie above one another: up to %" PRIu32
         " wait at the same moment, and somebody "
         "computes for ",
         facts->waiting_at_once);
    if (facts->computing < 0.01)
        fputs("less than 1 %", to);
    else
        html(to, "only %.0f %%", 100 * facts->computing);
    fputs(" of the time. That is <strong>concurrency</strong>: waiting overlaps without a second "
          "CPU.",
          to);
}

static void print_turns(FILE *to, const struct lane_facts *facts)
{
    if (facts->parallel < 0.005)
        fputs("No block lies above another", to);
    else
        html(to, "Blocks seldom lie above one another, for %.0f %% of the time",
             100 * facts->parallel);
    if (facts->turns > 0)
        html(to,
             ": the workers take turns, %zu time%s. That is <strong>concurrency without "
             "parallelism</strong>.",
             facts->turns, facts->turns == 1 ? "" : "s");
    else
        fputs(".", to); /* each had a CPU of its own, and other programs had it as well */
}

/* What there is to see, from what was counted: a run beside other programs may show something else
 * than its title says. */
static void print_caption(FILE *to, const struct drawing *d)
{
    const struct lane_facts *facts = &d->facts;

    if (facts->parallel >= 0.2)
        html(to,
             "Blocks lie above one another: for %.0f %% of the time two or more compute at the "
             "same moment. That is <strong>parallelism</strong>, on %zu CPUs.",
             100 * facts->parallel, d->cpus.count);
    else if (d->workers <= 1)
        fputs("One after the other: while it waits, nobody computes.", to);
    else if (d->timeline->load != LAB_CPU && facts->computing < 0.5 && facts->waiting_at_once >= 2)
        print_waits(to, facts);
    else
        print_turns(to, facts);
    if (d->timeline->load == LAB_CPU && facts->computing < 0.9)
        html(to, " For %.0f %% of the time none of them had a CPU.", 100 * (1 - facts->computing));
}

static void print_more(FILE *to, const struct drawing *d)
{
    if (d->workers < d->timeline->workers)
        html(to, " Shown are %" PRIu32 " of %" PRIu32 ".", d->workers, d->timeline->workers);
    fputs("</figcaption>\n", to);
}

static void draw(FILE *to, const struct drawing *d)
{
    const struct lab_timeline *t = d->timeline;

    html(to,
         "<figure class=\"timeline\" data-load=\"%s\" data-kind=\"%s\" data-workers=\"%" PRIu32
         "\" data-cpus=\"%" PRIu32
         "\" data-gil=\"%s\" data-parallel=\"%.4f\" data-spans=\"%zu\">\n",
         lab_load_name(t->load), weft_kind_name(t->kind), t->workers, t->cpus,
         t->gil ? "true" : "false", d->facts.parallel, t->span_count);
    html(to, "<h3>%s</h3>\n<figcaption id=\"t%zu-text\">", t->title, d->number);
    print_caption(to, d);
    print_more(to, d);
    html(to,
         "<svg class=\"time\" height=\"%d\" role=\"img\" aria-labelledby=\"t%zu-title\" "
         "aria-describedby=\"t%zu-text\">\n<title id=\"t%zu-title\">%s</title>\n",
         height(d) + AXIS_PX, d->number, d->number, d->number, t->title);
    draw_axis(to, d);
    draw_lanes(to, d);
    draw_labels(to, d);
    fputs("</svg>\n</figure>\n", to);
}

/* The longest of its load, so that lengths compare, unless little would be left of this one. */
static int64_t axis_end(const struct lab_results *results, const struct lab_timeline *timeline)
{
    int64_t end_ns = timeline->wall_ns;

    for (size_t i = 0; i < results->timeline_count; i++) {
        const struct lab_timeline *other = &results->timelines[i];
        if (other->load == timeline->load && other->wall_ns > end_ns &&
            other->wall_ns <= SAME_SCALE * timeline->wall_ns)
            end_ns = other->wall_ns;
    }
    return end_ns;
}

static int draw_one(FILE *to, const struct lab_results *results, const struct lane_cpus *page,
                    size_t number)
{
    const struct lab_timeline *timeline = &results->timelines[number];
    struct drawing d = {
        .timeline = timeline,
        .page = page,
        .number = number,
        .workers = timeline->workers < WORKERS_MAX ? timeline->workers : WORKERS_MAX,
        .end_ns = axis_end(results, timeline),
    };

    if (timeline->wall_ns <= 0)
        return 0;
    d.pitch = pitch_for(d.workers);
    d.thick = d.pitch >= ROOMY_PX ? d.pitch * 7 / 10 : d.pitch - 1;
    lane_add_cpus(&d.cpus, timeline);
    int rc = lane_facts(timeline, &d.facts);
    if (rc == 0)
        draw(to, &d);
    return rc;
}

static const char key[] =
    "<ul class=\"key\">\n"
    "<li><svg width=\"44\" height=\"16\" viewBox=\"0 -8 44 16\" aria-hidden=\"true\">"
    "<path class=\"cpu0\" d=\"M0 0h20\" stroke-width=\"14\"/>"
    "<path class=\"cpu1\" d=\"M24 0h20\" stroke-width=\"14\"/>"
    "<path class=\"gap\" d=\"M24 0h20\" stroke-width=\"1.5\"/></svg>"
    "computing: colour and stripes say on which CPU</li>\n"
    "<li><svg width=\"32\" height=\"16\" viewBox=\"0 -8 32 16\" aria-hidden=\"true\">"
    "<path class=\"wait\" d=\"M0 0h32\" stroke-width=\"2.5\"/></svg>"
    "waiting: for a page, the GIL or a CPU</li>\n"
    "</ul>\n";

int page_timelines(FILE *to, const struct lab_results *results)
{
    struct lane_cpus cpus = { .count = 0 };
    int rc = 0;

    if (results->timeline_count == 0)
        return 0;
    for (size_t i = 0; i < results->timeline_count; i++)
        lane_add_cpus(&cpus, &results->timelines[i]);
    fputs("<section id=\"timelines\" aria-labelledby=\"timelines-title\">\n"
          "<h2 id=\"timelines-title\">Who computes when</h2>\n"
          "<p class=\"soft\">A lane for each worker, and below them one for each CPU. Workers that "
          "take turns are concurrent; workers that compute at the same moment are parallel.</p>\n",
          to);
    fputs(key, to);
    fputs("<div class=\"pair\">\n", to);
    for (size_t i = 0; i < results->timeline_count && rc == 0; i++)
        rc = draw_one(to, results, &cpus, i);
    fputs("</div>\n</section>\n", to);
    return rc;
}
