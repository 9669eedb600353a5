/* SPDX-License-Identifier: MIT */
/* What a data race loses, and the lock that stops it. */
#include "page_parts.h"

#include <inttypes.h>

enum { BAR_PX = 26, LINE_PX = 66 };

struct bar {
    const char *name;
    uint64_t counted;
    double ns; /* per update */
    const char *colour;
};

static void draw_bar(FILE *to, const struct lab_race *race, const struct bar *bar, int y)
{
    char counted[HTML_NUMBER_BYTES], ns[HTML_NUMBER_BYTES];
    uint64_t missing = race->expected > bar->counted ? race->expected - bar->counted : 0;
    double kept = 100 * (double)bar->counted / (double)race->expected;

    html(to, "<text class=\"name\" x=\"0\" y=\"%d\">%s: %s", y + 12, bar->name,
         html_count(counted, bar->counted));
    html(to, "</text><text x=\"100%%\" y=\"%d\" text-anchor=\"end\">%s ns each</text>\n", y + 12,
         html_number(ns, bar->ns));
    html(to, "<rect class=\"kept %s\" y=\"%d\" width=\"%.2f%%\" height=\"%d\" rx=\"2\"/>\n",
         bar->colour, y + 20, kept < 100 ? kept : 100, BAR_PX);
    if (missing > 0)
        html(to, "<rect class=\"lost\" x=\"%.2f%%\" y=\"%d\" width=\"%.2f%%\" height=\"%d\"/>\n",
             kept, y + 20, 100 - kept, BAR_PX);
}

static void print_text(FILE *to, const struct lab_race *race)
{
    char total[HTML_NUMBER_BYTES], lost[HTML_NUMBER_BYTES];

    html(to,
         "<p class=\"soft\">%" PRIu32 " threads add 1 to one counter, %s times in all. An addition "
         "is three steps: read, add, write back. If another thread writes between them, its "
         "update is lost.</p>\n",
         race->threads, html_count(total, race->expected));
    if (race->unlocked < race->expected) {
        uint64_t missing = race->expected - race->unlocked;
        html(to,
             "<p class=\"verdict processes\">Without a lock %s updates were lost, %.1f %% of all. "
             "With it %s.</p>\n",
             html_count(lost, missing), 100 * (double)missing / (double)race->expected,
             race->locked == race->expected ? "none was" : "the count is wrong, too");
    } else {
        html(to,
             "<p class=\"verdict\">Without a lock none was lost this time, in %" PRIu32 " tr%s. "
             "That is luck, and no promise: with the lock it is one.</p>\n",
             race->tries, race->tries == 1 ? "y" : "ies");
    }
}

void page_race(FILE *to, const struct lab_race *race)
{
    const struct bar bars[] = {
        { "Without a lock", race->unlocked, race->unlocked_ns, "processes" },
        { "With a lock", race->locked, race->locked_ns, "tasks" },
    };

    if (race->threads == 0 || race->expected == 0)
        return;
    fputs("<section id=\"race\" aria-labelledby=\"race-title\">\n"
          "<h2 id=\"race-title\">A data race, and the lock that stops it</h2>\n",
          to);
    print_text(to, race);
    html(to,
         "<figure data-threads=\"%" PRIu32 "\" data-expected=\"%" PRIu64
         "\" data-unlocked=\"%" PRIu64 "\" data-locked=\"%" PRIu64 "\">\n",
         race->threads, race->expected, race->unlocked, race->locked);
    html(to,
         "<svg class=\"wide\" width=\"100%%\" height=\"%d\" role=\"img\" "
         "aria-labelledby=\"race-bars\">\n<title id=\"race-bars\">Of %" PRIu64 " updates, %" PRIu64
         " were counted without a lock and %" PRIu64 " with one</title>\n",
         2 * LINE_PX, race->expected, race->unlocked, race->locked);
    draw_bar(to, race, &bars[0], 0);
    draw_bar(to, race, &bars[1], LINE_PX);
    fputs("</svg>\n</figure>\n</section>\n", to);
}
