/* SPDX-License-Identifier: MIT */
/* The page as a file, and what stands in it. What it looks like is for a browser: tests/browser. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/html.h"
#include "lab/page.h"

#include "harness.h"
#include "lab_sample.h"

enum { PATH_BYTES = 256, SMALL_FILE = 4096, SPANS = 200000 };

static struct place {
    char directory[PATH_BYTES / 2];
    char page[PATH_BYTES];
} place;

static void make_place(void)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(place.directory, sizeof place.directory, "%s/weft-page-XXXXXX",
             tmp != NULL ? tmp : "/tmp");
    EXPECT_TRUE(mkdtemp(place.directory) != NULL);
    snprintf(place.page, sizeof place.page, "%s/page.html", place.directory);
}

/* Nothing but what is named may have been left in it. */
static void leave_place(void)
{
    (void)unlink(place.page);
    EXPECT_EQ(rmdir(place.directory), 0);
}

static char *read_file(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "re");

    EXPECT_TRUE(file != NULL);
    EXPECT_TRUE(getdelim(&text, &size, '\0', file) >= 0);
    fclose(file);
    return text;
}

static char *page_of(const struct lab_results *results)
{
    make_place();
    EXPECT_EQ(lab_page_write(results, place.page), 0);
    char *text = read_file(place.page);
    leave_place();
    return text;
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;

    while ((text = strstr(text, part)) != NULL) {
        text += strlen(part);
        n++;
    }
    return n;
}

/* What html() prints. */
static char *printed(const char *text)
{
    char *all = NULL;
    size_t size;
    FILE *to = open_memstream(&all, &size);

    EXPECT_TRUE(to != NULL);
    html(to, "<b title=\"%s\">%d%%</b>", text, 5);
    EXPECT_EQ(fclose(to), 0);
    return all;
}

static void expect_printed(const char *text, const char *expected)
{
    char *all = printed(text);
    char whole[256];

    snprintf(whole, sizeof whole, "<b title=\"%s\">5%%</b>", expected);
    EXPECT_STR(all, whole);
    free(all);
}

TEST(markup_in_text_is_text)
{
    expect_printed("<a href='x'>\"&\"</a>",
                   "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/a&gt;");
    expect_printed("Größe – 漢字 😀", "Größe – 漢字 😀");
}

TEST(bytes_that_are_no_characters_are_replaced)
{
    expect_printed("a\xff", "a\xef\xbf\xbd");
    expect_printed("\xc3", "\xef\xbf\xbd");                                   /* cut short */
    expect_printed("\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd");                   /* '<', too long */
    expect_printed("\xed\xa0\x80x", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx"); /* half a pair */
    expect_printed("\x1b[31m\x7f", "\xef\xbf\xbd[31m\xef\xbf\xbd");
}

TEST(numbers_are_grouped)
{
    char buffer[HTML_NUMBER_BYTES];

    EXPECT_STR(html_count(buffer, 0), "0");
    EXPECT_STR(html_count(buffer, 999), "999");
    EXPECT_STR(html_count(buffer, 1000), "1,000");
    EXPECT_STR(html_count(buffer, 18446744073709551615ULL), "18,446,744,073,709,551,615");
    EXPECT_STR(html_number(buffer, 12480.4), "12,480");
    EXPECT_STR(html_number(buffer, -1), "–");
}

TEST(every_row_is_in_the_table_with_all_its_figures)
{
    struct lab_results results = lab_sample();
    char *text = page_of(&results);
    char figures[256];

    EXPECT_EQ(count(text, "<tr data-load") + count(text, "<tr class=\"best\" data-load"),
              results.row_count);
    EXPECT_EQ(count(text, "<tr class=\"best\""), results.verdict_count);
    for (size_t i = 0; i < results.row_count; i++) {
        const struct lab_row *row = &results.rows[i];
        snprintf(figures, sizeof figures,
                 " data-load=\"%s\" data-kind=\"%s\" data-workers=\"%u\" data-gil=\"%s\""
                 " data-runs=\"%zu\" data-rate=\"%.17g\"",
                 lab_load_name(row->load), weft_kind_name(row->kind), row->workers,
                 row->gil ? "true" : "false", row->runs, row->rate);
        EXPECT_HAS(text, figures);
    }
    free(text);
    lab_results_release(&results);
}

TEST(hostile_texts_stay_texts)
{
    struct lab_results results = lab_sample();
    char *text = page_of(&results);

    EXPECT_HAS(text, "Example &amp; Sons &quot;Fast&quot; &lt;CPU&gt;");
    EXPECT_HAS(text, "&lt;b&gt;&quot;CPU-bound&quot;&lt;/b&gt; &amp; so");
    EXPECT_HAS(text, "&lt;threads&gt; lose half");
    EXPECT_EQ(count(text, "<CPU>") + count(text, "<b>") + count(text, "<threads>"), 0);
    EXPECT_EQ(
        count(text, "<script") + count(text, "http://") - count(text, "http://www.w3.org/2000"), 0);
    free(text);
    lab_results_release(&results);
}

/* As after Ctrl-C at once. */
TEST(there_is_a_page_without_any_result)
{
    struct lab_results results = { .version = "0", .interrupted = true, .others = -1 };
    char *text = page_of(&results);

    EXPECT_HAS(text, "It was interrupted");
    EXPECT_HAS(text, "</html>");
    EXPECT_EQ(count(text, "<table"), 0);
    EXPECT_EQ(count(text, "nan"), 0);
    free(text);
}

/* One kind alone: no serial row to compare with, one point, no interval. */
TEST(one_row_is_enough)
{
    struct lab_row row = { .load = LAB_CPU,
                           .kind = WEFT_THREADS,
                           .workers = 4,
                           .runs = 1,
                           .rate = 100,
                           .low = 100,
                           .high = 100,
                           .cpus = 1,
                           .call_waits = -1 };
    struct lab_results results = {
        .version = "0", .rows = &row, .row_count = 1, .verdict_count = 1, .others = -1
    };

    results.verdicts[0] = (struct lab_verdict){ LAB_CPU, 0, "CPU-bound: 4 threads win." };
    char *text = page_of(&results);
    EXPECT_HAS(text, ">4 threads win.</p>");
    EXPECT_HAS(text, "<td>100</td><td>–</td>");
    EXPECT_HAS(text, "<td class=\"soft\">one run</td>");
    EXPECT_HAS(text, "<title>threads, 4 workers: 100 calls a second (one run)</title>");
    EXPECT_EQ(count(text, "nan") + count(text, "inf%"), 0);
    free(text);
    row.rate = row.low = row.high = 2.2;
    text = page_of(&results);
    EXPECT_HAS(text, ">1</text>");
    EXPECT_HAS(text, ">1.5</text>");
    EXPECT_EQ(count(text, ">2</text>"), 1);
    free(text);
}

/* One after the other, each on a CPU of its own, as beside other programs. */
TEST(workers_that_did_not_take_turns_are_not_said_to)
{
    struct lab_span spans[] = { { 0, 0, 0, 50, false }, { 1, 1, 50, 100, false } };
    struct lab_timeline timeline = { .title = "2 threads",
                                     .load = LAB_CPU,
                                     .kind = WEFT_THREADS,
                                     .workers = 2,
                                     .cpus = 2,
                                     .wall_ns = 100,
                                     .spans = spans,
                                     .span_count = 2 };
    struct lab_results results = {
        .version = "0", .timelines = &timeline, .timeline_count = 1, .others = -1
    };
    char *text = page_of(&results);

    EXPECT_HAS(text, "No block lies above another.");
    EXPECT_EQ(count(text, "0 times") + count(text, "concurrency without"), 0);
    free(text);
    spans[1].cpu = 0;
    text = page_of(&results);
    EXPECT_HAS(text, "No block lies above another: the workers take turns, 1 time.");
    free(text);
}

TEST(the_size_does_not_follow_the_number_of_spans)
{
    struct lab_results results = lab_sample();
    struct lab_timeline *timeline = &results.timelines[0];
    struct lab_span *spans = calloc(SPANS, sizeof *spans);

    EXPECT_TRUE(spans != NULL);
    for (size_t i = 0; i < SPANS; i++)
        spans[i] =
            (struct lab_span){ 0, i % 2, (int64_t)i * 1000, (int64_t)i * 1000 + 500, i % 3 == 0 };
    free(timeline->spans);
    timeline->spans = spans;
    timeline->span_count = SPANS;
    timeline->wall_ns = (int64_t)SPANS * 1000;
    char *text = page_of(&results);
    EXPECT_LT(strlen(text), (size_t)1000000);
    free(text);
    lab_results_release(&results);
}

TEST(a_page_replaces_the_one_before_it)
{
    struct lab_results results = { .version = "0", .others = -1 };

    make_place();
    EXPECT_EQ(lab_page_write(&results, place.page), 0);
    results.version = "0.0.other";
    EXPECT_EQ(lab_page_write(&results, place.page), 0);
    char *text = read_file(place.page);
    EXPECT_HAS(text, "0.0.other");
    free(text);
    leave_place();
}

TEST(a_link_stays_and_what_it_names_is_replaced)
{
    struct lab_results results = { .version = "0", .others = -1 };
    char link_path[PATH_BYTES];
    struct stat status;

    make_place();
    snprintf(link_path, sizeof link_path, "%s/link", place.directory);
    EXPECT_EQ(lab_page_write(&results, place.page), 0);
    EXPECT_EQ(truncate(place.page, 0), 0);
    EXPECT_EQ(symlink("page.html", link_path), 0);
    EXPECT_EQ(lab_page_write(&results, link_path), 0);
    EXPECT_EQ(lstat(link_path, &status), 0);
    EXPECT_TRUE(S_ISLNK(status.st_mode));
    EXPECT_EQ(stat(place.page, &status), 0);
    EXPECT_GT(status.st_size, 0);
    EXPECT_EQ(unlink(link_path), 0);
    leave_place();
}

TEST(a_page_that_replaces_another_is_as_private)
{
    struct lab_results results = { .version = "0", .others = -1 };
    struct stat status;

    make_place();
    EXPECT_EQ(lab_page_write(&results, place.page), 0);
    EXPECT_EQ(chmod(place.page, 0600), 0);
    EXPECT_EQ(lab_page_write(&results, place.page), 0);
    EXPECT_EQ(stat(place.page, &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600);
    leave_place();
}

/* That it can be written to is what has been looked at before a minute of measuring. */
TEST(where_the_directory_takes_no_new_file_the_old_one_is_written_to)
{
    struct lab_results results = { .version = "0.0.other", .others = -1 };
    bool root = geteuid() == 0;
    struct stat status;

    make_place();
    fclose(fopen(place.page, "we"));
    EXPECT_EQ(chmod(place.page, 0666), 0);
    EXPECT_EQ(chmod(place.directory, 0555), 0);
    EXPECT_TRUE(!root || seteuid(65534) == 0);
    bool seen = stat(place.page, &status) == 0;
    int rc = lab_page_write(&results, place.page);
    EXPECT_TRUE(!root || seteuid(0) == 0);
    EXPECT_EQ(chmod(place.directory, 0755), 0);
    if (!seen) {
        leave_place();
        SKIP("nobody may not look into the directory for temporary files");
    }
    EXPECT_EQ(rc, 0);
    char *text = read_file(place.page);
    EXPECT_HAS(text, "0.0.other");
    free(text);
    leave_place();
}

TEST(what_cannot_be_written_is_an_error)
{
    struct lab_results results = { .version = "0", .others = -1 };
    char path[PATH_BYTES + 16];

    make_place();
    EXPECT_EQ(lab_page_write(&results, place.directory), -EISDIR);
    snprintf(path, sizeof path, "%s/none/page.html", place.directory);
    EXPECT_EQ(lab_page_write(&results, path), -ENOENT);
    EXPECT_EQ(lab_page_write(&results, ""), -ENOENT);
    EXPECT_EQ(lab_page_write(&results, "/dev/full"), -ENOSPC);
    leave_place();
}

TEST(a_page_that_does_not_fit_leaves_the_one_before_it)
{
    struct lab_results results = lab_sample(), small = { .version = "before", .others = -1 };
    struct rlimit limit = { SMALL_FILE, SMALL_FILE };

    make_place();
    EXPECT_EQ(lab_page_write(&small, place.page), 0);
    signal(SIGXFSZ, SIG_IGN);
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    EXPECT_EQ(lab_page_write(&results, place.page), -EFBIG);
    char *text = read_file(place.page);
    EXPECT_HAS(text, "weft before");
    EXPECT_HAS(text, "</html>");
    free(text);
    leave_place();
    lab_results_release(&results);
}
