/* SPDX-License-Identifier: MIT */
/* The file of a trace: valid whatever is written, and when the file takes no more. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "debug/opens.h"
#include "debug/output.h"
#include "harness.h"

static struct output output;
static char text[1 << 20];

static int open_file(void)
{
    int fd = memfd_create("trace", MFD_CLOEXEC);
    EXPECT_TRUE(fd >= 0);
    return fd;
}

static const char *content(void)
{
    ssize_t n = pread(output.fd, text, sizeof text - 1, 0);
    EXPECT_TRUE(n >= 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void write_quoted(const char *what)
{
    output_begin(&output);
    output_quoted(&output, what);
    output_end(&output, false);
}

TEST(each_flush_leaves_a_whole_array)
{
    output_init(&output, open_file(), 1 << 20);
    write_quoted("one");
    output_flush(&output);
    EXPECT_STR(content(), "[\n\"one\"\n]\n");
    write_quoted("two");
    output_begin(&output);
    output_us(&output, 1234567);
    output_end(&output, false);
    output_flush(&output);
    EXPECT_STR(content(), "[\n\"one\",\n\"two\",\n1234.567\n]\n");
    output_flush(&output);
    EXPECT_STR(content(), "[\n\"one\",\n\"two\",\n1234.567\n]\n");
    close(output.fd);
}

TEST(what_is_quoted_is_valid_whatever_it_is)
{
    static const char *const words[][2] = {
        { "plain", "\"plain\"" },
        { "a \"b\" \\ c", "\"a \\\"b\\\" \\\\ c\"" },
        { "tab\there\n", "\"tab?here?\"" },
        { "gr\xC3\xB6\xC3\x9F"
          "e \xE2\x82\xAC \xF0\x9F\x98\x80",
          "\"gr\xC3\xB6\xC3\x9F"
          "e \xE2\x82\xAC \xF0\x9F\x98\x80\"" },
        { "cut \xE2\x82", "\"cut ??\"" },
        { "\x80 \xC0\xAF \xED\xA0\x80 \xF4\x90\x80\x80 \xFF", "\"? ?? ??? ???? ?\"" },
        { "", "\"\"" },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char wanted[200];
        output_init(&output, open_file(), 1 << 20);
        write_quoted(words[i][0]);
        output_flush(&output);
        snprintf(wanted, sizeof wanted, "[\n%s\n]\n", words[i][1]);
        EXPECT_STR(content(), wanted);
        close(output.fd);
    }
}

TEST(a_file_does_not_become_longer_than_it_may)
{
    output_init(&output, open_file(), 65536);
    for (int i = 0; i < 5000; i++)
        write_quoted("thirty bytes of text, or nearly");
    output_begin(&output);
    output_text(&output, "\"end\"");
    output_end(&output, true);
    output_flush(&output);
    size_t n = strlen(content());
    EXPECT_TRUE(n <= 65536 && n > 60000);
    EXPECT_TRUE(output.cut > 0 && output.cut + output.events == 5001);
    EXPECT_STR(text + n - 10, ",\n\"end\"\n]\n");
    close(output.fd);
}

TEST(a_full_disk_leaves_what_was_written)
{
    char path[] = "/tmp/weft-trace-XXXXXX";
    signal(SIGXFSZ, SIG_IGN);
    int fd = mkstemp(path);
    EXPECT_TRUE(fd >= 0);
    unlink(path);
    output_init(&output, fd, 1 << 30);
    for (int i = 0; i < 100; i++)
        write_quoted("before the disk is full");
    output_flush(&output);
    size_t n = strlen(content());
    struct rlimit before, limit;
    EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){ n + 100, before.rlim_max };
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int i = 0; i < 100; i++)
        write_quoted("after that");
    output_flush(&output);
    write_quoted("and later");
    output_flush(&output);
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(strlen(content()), n);
    EXPECT_STR(text + n - 4, "\"\n]\n");
    EXPECT_TRUE(output.error == EFBIG && output.cut == 1);
    close(fd);
}

/* ---- spans that have not ended */

static struct opens opens;
static unsigned dropped;
static int64_t sum;

static void note(const struct record *record, void *ctx)
{
    (void)ctx;
    dropped++;
    sum += record->span.began_ns;
}

static struct record span(uint64_t strand, int64_t began_ns)
{
    return (struct record){ .strand = strand, .span.began_ns = began_ns };
}

TEST(what_has_ended_is_not_open)
{
    for (int64_t i = 1; i <= 100; i++) {
        struct record record = span((uint64_t)i % 7, i);
        opens_add(&opens, i % 2, &record);
    }
    for (int64_t i = 1; i <= 98; i++) {
        struct record record = span((uint64_t)i % 7, i);
        opens_remove(&opens, i % 2, &record);
    }
    struct record stranger = span(5, 12345);
    opens_remove(&opens, 0, &stranger);
    opens_drop(&opens, 0, note, NULL);
    EXPECT_TRUE(dropped == 1 && sum == 100);
    opens_drop(&opens, 1, note, NULL);
    EXPECT_TRUE(dropped == 2 && sum == 199);
    opens_drop(&opens, 1, note, NULL);
    EXPECT_EQ(dropped, 2);
}

TEST(one_that_turned_out_to_be_long_ends_no_other)
{
    struct record around = span(7, 100), inside = around;
    inside.about =
        true; /* so that it was not said to begin, and seems to have begun as the other */
    opens_add(&opens, 0, &around);
    opens_remove(&opens, 0, &inside);
    opens_drop(&opens, 0, note, NULL);
    EXPECT_EQ(dropped, 1);
}

TEST(those_that_there_is_no_room_for_are_forgotten)
{
    for (int64_t i = 1; i <= OPENS_MAX + 10; i++) {
        struct record record = span((uint64_t)i, i);
        opens_add(&opens, 3, &record);
    }
    opens_drop(&opens, 3, note, NULL);
    EXPECT_EQ(dropped, OPENS_MAX);
    struct record record = span(1, 1);
    opens_add(&opens, 3, &record);
    opens_drop(&opens, 3, note, NULL);
    EXPECT_EQ(dropped, OPENS_MAX + 1);
}
