/* SPDX-License-Identifier: MIT */
/*
 * Files: what is read and written where, what ends a transfer early, and every way to be refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weft/event.h>
#include <weft/file.h>
#include <weft/scope.h>
#include <weft/self.h>

#include "harness.h"
#include "strands.h"

enum { STRANDS = 4, LINES = 50, LINE_BYTES = 64 };

#define TWO_PARTS (WEFT_FILE_PART + 1)

static char directory[64];

/* The path of a file in a directory of the test's own. */
static const char *path_of(const char *name)
{
    static char path[128];
    if (!directory[0]) {
        strcpy(directory, "/tmp/weft-file-XXXXXX");
        EXPECT_TRUE(mkdtemp(directory));
    }
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

/* An empty file, open for both, that is gone when it is closed. */
static weft_file *scratch(int flags)
{
    weft_file *file;
    const char *path = path_of("scratch");
    EXPECT_EQ(weft_file_open(&file, path, O_RDWR | O_CREAT | O_EXCL | flags, 0600), 0);
    EXPECT_EQ(unlink(path), 0);
    EXPECT_EQ(rmdir(directory), 0);
    directory[0] = '\0';
    return file;
}

static ssize_t put(weft_file *file, const char *text, uint64_t offset)
{
    return weft_file_write(file, text, strlen(text), offset, WEFT_FOREVER);
}

static void expect_content(weft_file *file, const char *text)
{
    char got[256];
    size_t n = strlen(text);
    EXPECT_EQ(weft_file_size(file), n);
    EXPECT_EQ(weft_file_read(file, got, sizeof got, 0, WEFT_FOREVER), n);
    EXPECT_MEM(got, text, n);
}

TEST_IN_STRAND(what_is_written_somewhere_is_read_there)
{
    char got[16];
    weft_file *file = scratch(0);
    EXPECT_EQ(weft_file_size(file), 0);
    EXPECT_EQ(put(file, "hello world", 0), 11);
    EXPECT_EQ(put(file, "W", 6), 1);
    expect_content(file, "hello World");
    EXPECT_EQ(weft_file_read(file, got, 5, 6, WEFT_FOREVER), 5);
    EXPECT_MEM(got, "World", 5);
    EXPECT_EQ(weft_file_sync(file, WEFT_FOREVER), 0);
    weft_file_close(file);
}

TEST_IN_STRAND(a_read_ends_where_the_file_ends)
{
    char got[16];
    weft_file *file = scratch(0);
    EXPECT_EQ(weft_file_read(file, got, sizeof got, 0, WEFT_FOREVER), 0);
    EXPECT_EQ(put(file, "hello", 0), 5);
    EXPECT_EQ(weft_file_read(file, got, sizeof got, 3, WEFT_FOREVER), 2);
    EXPECT_MEM(got, "lo", 2);
    EXPECT_EQ(weft_file_read(file, got, sizeof got, 5, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_file_read(file, got, sizeof got, UINT64_C(1) << 40, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_file_read(file, got, 0, 0, WEFT_FOREVER), 0);
    weft_file_close(file);
}

TEST_IN_STRAND(a_write_beyond_the_end_leaves_zeros)
{
    char got[4];
    weft_file *file = scratch(0);
    EXPECT_EQ(put(file, "x", 3), 1);
    EXPECT_EQ(weft_file_read(file, got, sizeof got, 0, WEFT_FOREVER), 4);
    EXPECT_MEM(got, "\0\0\0x", 4);
    EXPECT_EQ(weft_file_write(file, "", 0, 100, WEFT_FOREVER), 0);
    EXPECT_EQ(weft_file_size(file), 4);
    weft_file_close(file);
}

TEST_IN_STRAND(appending_ignores_the_offset)
{
    weft_file *file = scratch(O_APPEND);
    EXPECT_EQ(put(file, "one ", 0), 4);
    EXPECT_EQ(put(file, "two ", 0), 4);
    EXPECT_EQ(put(file, "three", 1000), 5);
    expect_content(file, "one two three");
    weft_file_close(file);
}

TEST_IN_STRAND(it_is_opened_as_open_does_and_closed_on_exec)
{
    weft_file *file;
    struct stat status;
    umask(022);
    const char *path = path_of("made");
    EXPECT_EQ(weft_file_open(&file, path, O_RDWR, 0600), -ENOENT);
    EXPECT_EQ(weft_file_open(&file, path, O_RDWR | O_CREAT | O_EXCL, 0640), 0);
    EXPECT_EQ(fstat(weft_file_fd(file), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0640);
    EXPECT_TRUE(fcntl(weft_file_fd(file), F_GETFD) & FD_CLOEXEC);
    EXPECT_EQ(put(file, "old", 0), 3);
    weft_file_close(file);
    EXPECT_EQ(weft_file_open(&file, path, O_RDWR | O_CREAT | O_EXCL, 0640), -EEXIST);
    EXPECT_EQ(weft_file_open(&file, path, O_RDWR | O_TRUNC, 0), 0);
    EXPECT_EQ(weft_file_size(file), 0);
    weft_file_close(file);
    unlink(path);
    rmdir(directory);
}

TEST_IN_STRAND(what_cannot_be_opened_says_why)
{
    weft_file *file = NULL;
    EXPECT_EQ(weft_file_open(&file, NULL, O_RDONLY, 0), -EINVAL);
    EXPECT_EQ(weft_file_open(&file, "", O_RDONLY, 0), -ENOENT);
    EXPECT_EQ(weft_file_open(&file, "/dev/null/x", O_RDONLY, 0), -ENOTDIR);
    EXPECT_EQ(weft_file_open(&file, "/tmp", O_RDWR, 0), -EISDIR);
    struct rlimit limit = { .rlim_cur = 3, .rlim_max = RLIM_INFINITY }, before;
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = dup(0);
    close(lowest);
    limit = (struct rlimit){ .rlim_cur = (rlim_t)lowest, .rlim_max = before.rlim_max };
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(weft_file_open(&file, "/dev/null", O_RDONLY, 0), -EMFILE);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_TRUE(file == NULL);
    weft_file_close(NULL);
}

TEST_IN_STRAND(what_a_file_is_not_open_for_is_refused)
{
    char byte = 'x';
    weft_file *file;
    EXPECT_EQ(weft_file_open(&file, "/dev/null", O_RDONLY, 0), 0);
    EXPECT_EQ(weft_file_write(file, &byte, 1, 0, WEFT_FOREVER), -EBADF);
    EXPECT_EQ(weft_file_read(file, &byte, 1, UINT64_MAX, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_file_read(file, &byte, 1, INT64_MAX, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_file_read(file, &byte, SIZE_MAX, 0, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_file_write(file, &byte, 1, INT64_MAX, WEFT_FOREVER), -EINVAL);
    EXPECT_EQ(weft_file_sync(file, WEFT_FOREVER), -EINVAL);
    weft_file_close(file);
    EXPECT_EQ(weft_file_open(&file, "/dev/null", O_WRONLY, 0), 0);
    EXPECT_EQ(weft_file_read(file, &byte, 1, 0, WEFT_FOREVER), -EBADF);
    weft_file_close(file);
    EXPECT_EQ(weft_file_open(&file, "/tmp", O_RDONLY, 0), 0);
    EXPECT_EQ(weft_file_read(file, &byte, 1, 0, WEFT_FOREVER), -EISDIR);
    weft_file_close(file);
}

TEST_IN_STRAND(a_pipe_has_no_offsets)
{
    char byte = 'x';
    weft_file *file;
    const char *path = path_of("pipe");
    EXPECT_EQ(mkfifo(path, 0600), 0);
    EXPECT_EQ(weft_file_open(&file, path, O_RDWR, 0), 0);
    EXPECT_EQ(weft_file_read(file, &byte, 1, 0, WEFT_FOREVER), -ESPIPE);
    EXPECT_EQ(weft_file_write(file, &byte, 1, 0, WEFT_FOREVER), -ESPIPE);
    weft_file_close(file);
    unlink(path);
    rmdir(directory);
}

TEST_IN_STRAND(a_full_disk_is_told)
{
    weft_file *file;
    EXPECT_EQ(weft_file_open(&file, "/dev/full", O_RDWR, 0), 0);
    EXPECT_EQ(put(file, "x", 0), -ENOSPC);
    weft_file_close(file);
}

TEST_IN_STRAND(a_write_that_comes_to_a_limit_has_written_up_to_it)
{
    char data[1500];
    weft_file *file = scratch(0);
    memset(data, 'x', sizeof data);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = { .rlim_cur = 1000, .rlim_max = RLIM_INFINITY };
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    EXPECT_EQ(weft_file_write(file, data, sizeof data, 0, WEFT_FOREVER), -EFBIG);
    EXPECT_EQ(weft_file_size(file), 1000);
    EXPECT_EQ(weft_file_write(file, data, 1000, 0, WEFT_FOREVER), 1000);
    weft_file_close(file);
}

/* ---- several parts, and what comes between them */

static char *two_parts(void)
{
    char *data = malloc(TWO_PARTS);
    EXPECT_TRUE(data);
    for (size_t i = 0; i < TWO_PARTS; i++)
        data[i] = (char)(i % 251);
    return data;
}

TEST_IN_STRAND(a_long_transfer_is_all_of_it)
{
    char *data = two_parts(), *got = malloc(TWO_PARTS + 1);
    weft_file *file = scratch(0);
    EXPECT_TRUE(got);
    EXPECT_EQ(weft_file_write(file, data, TWO_PARTS, 7, WEFT_FOREVER), TWO_PARTS);
    EXPECT_EQ(weft_file_size(file), 7 + TWO_PARTS);
    EXPECT_EQ(weft_file_read(file, got, TWO_PARTS + 1, 7, WEFT_FOREVER), TWO_PARTS);
    EXPECT_TRUE(memcmp(got, data, TWO_PARTS) == 0);
    weft_file_close(file);
    free(got);
    free(data);
}

TEST_IN_STRAND(a_deadline_ends_a_transfer_between_its_parts)
{
    char *data = two_parts(), small[8] = "small";
    weft_file *file = scratch(0);
    EXPECT_EQ(weft_file_write(file, data, TWO_PARTS, 0, WEFT_NOW), -ETIMEDOUT);
    EXPECT_EQ(weft_file_size(file), WEFT_FILE_PART);
    EXPECT_EQ(weft_file_write(file, small, 1, WEFT_FILE_PART, WEFT_NOW), 1);
    EXPECT_EQ(weft_file_read(file, data, TWO_PARTS, 0, WEFT_NOW), WEFT_FILE_PART);
    EXPECT_EQ(weft_file_read(file, small, sizeof small, 0, WEFT_NOW), sizeof small);
    EXPECT_EQ(weft_file_sync(file, WEFT_NOW), -ETIMEDOUT);
    weft_file_close(file);
    free(data);
}

TEST_IN_STRAND(a_scope_that_ends_a_transfer_knows_it)
{
    weft_scope scope;
    char *data = two_parts();
    weft_file *file = scratch(0);
    weft_scope_enter(&scope, WEFT_NOW, 0);
    EXPECT_EQ(weft_file_write(file, data, 1, 0, WEFT_FOREVER), 1);
    EXPECT_EQ(weft_scope_leave(&scope), 0);
    weft_scope_enter(&scope, WEFT_NOW, 0);
    EXPECT_EQ(weft_file_write(file, data, TWO_PARTS, 0, WEFT_FOREVER), -ETIMEDOUT);
    EXPECT_EQ(weft_scope_leave(&scope), -ETIMEDOUT);
    weft_file_close(file);
    free(data);
}

static weft_event never = WEFT_EVENT_INIT;
static weft_file *shared;

static void use_cancelled(size_t index)
{
    weft_file *file;
    char *data = two_parts();
    (void)index;
    EXPECT_EQ(weft_event_wait(&never, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_file_write(shared, data, TWO_PARTS, 0, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_file_size(shared), WEFT_FILE_PART);
    EXPECT_EQ(weft_file_write(shared, data, 3, WEFT_FILE_PART, WEFT_FOREVER), 3);
    EXPECT_EQ(weft_file_read(shared, data, TWO_PARTS, 0, WEFT_FOREVER), WEFT_FILE_PART);
    EXPECT_EQ(weft_file_sync(shared, WEFT_FOREVER), -ECANCELED);
    EXPECT_EQ(weft_file_open(&file, "/dev/null", O_RDWR, 0), 0);
    weft_file_close(file);
    free(data);
}

TEST(a_cancellation_ends_a_transfer_between_its_parts)
{
    strands_must_be_cancellable();
    shared = scratch(0);
    struct strands *strands = strands_start(1, use_cancelled);
    strands_cancel_all(strands);
    strands_join(strands);
    weft_file_close(shared);
}

/* ---- strands at the same time */

static void own_place(size_t index)
{
    char line[LINE_BYTES], got[LINE_BYTES];
    for (uint64_t i = 0; i < LINES; i++) {
        uint64_t offset = (i * STRANDS + index) * LINE_BYTES;
        memset(line, (int)('a' + index), sizeof line);
        EXPECT_EQ(weft_file_write(shared, line, sizeof line, offset, WEFT_FOREVER), LINE_BYTES);
        EXPECT_EQ(weft_file_read(shared, got, sizeof got, offset, WEFT_FOREVER), LINE_BYTES);
        EXPECT_MEM(got, line, LINE_BYTES);
    }
    EXPECT_EQ(weft_file_sync(shared, WEFT_FOREVER), 0);
}

TEST(strands_share_a_file_without_a_position)
{
    shared = scratch(0);
    strands_join(strands_start(STRANDS, own_place));
    EXPECT_EQ(weft_file_size(shared), LINES * STRANDS * LINE_BYTES);
    weft_file_close(shared);
}

static void append_lines(size_t index)
{
    char line[LINE_BYTES];
    memset(line, (int)('a' + index), sizeof line);
    for (int i = 0; i < LINES; i++)
        EXPECT_EQ(weft_file_write(shared, line, sizeof line, 0, WEFT_FOREVER), LINE_BYTES);
}

TEST(lines_that_strands_append_stay_whole)
{
    char line[LINE_BYTES];
    int lines[STRANDS] = { 0 };
    shared = scratch(O_APPEND);
    strands_join(strands_start(STRANDS, append_lines));
    EXPECT_EQ(weft_file_size(shared), LINES * STRANDS * LINE_BYTES);
    for (uint64_t at = 0; at < LINES * STRANDS; at++) {
        EXPECT_EQ(weft_file_read(shared, line, sizeof line, at * LINE_BYTES, WEFT_FOREVER),
                  LINE_BYTES);
        for (int i = 1; i < LINE_BYTES; i++)
            EXPECT_EQ(line[i], line[0]);
        lines[line[0] - 'a']++;
    }
    for (int i = 0; i < STRANDS; i++)
        EXPECT_EQ(lines[i], LINES);
    weft_file_close(shared);
}

static void open_and_close(size_t index)
{
    char zero = 'x';
    (void)index;
    for (int i = 0; i < LINES; i++) {
        weft_file *file;
        EXPECT_EQ(weft_file_open(&file, "/dev/zero", O_RDWR, 0), 0);
        EXPECT_EQ(weft_file_read(file, &zero, 1, (uint64_t)i, WEFT_FOREVER), 1);
        EXPECT_EQ(zero, 0);
        weft_file_close(file);
    }
}

TEST(strands_open_and_close_without_leaving_descriptors)
{
    strands_join(strands_start(STRANDS, open_and_close));
}
