/* SPDX-License-Identifier: MIT */
/* The page as a whole: its parts in the order of reading, and the file.
 *
 *   html.c            text and numbers inside markup
 *   page_shell.c      head, title, machine, verdicts at a glance, how it was measured
 *   page_style.c      the style sheet
 *   page_load.c       a load's section and its table     page_plot.c       throughput by workers
 *   page_race.c       lost updates                       page_timelines.c  who computed when
 *                                                        page_lanes.c      spans, merged and
 * counted
 *
 * It is made in memory, so that whatever is wrong with making it leaves the file alone. */
#include "page.h"

#include "page_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int print_all(FILE *to, const struct lab_results *results)
{
    page_begin(to, results);
    for (int load = 0; load < LAB_LOADS; load++)
        page_load(to, results, (enum lab_load)load);
    int rc = page_timelines(to, results);
    page_race(to, &results->race);
    page_end(to, results);
    return rc;
}

static int make(const struct lab_results *results, char **ret_text, size_t *ret_size)
{
    FILE *to = open_memstream(ret_text, ret_size);

    if (to == NULL)
        return -ENOMEM;
    int rc = print_all(to, results);
    if (ferror(to) != 0)
        rc = -ENOMEM; /* all that can go wrong in memory */
    if (fclose(to) != 0)
        rc = -ENOMEM;
    if (rc < 0)
        free(*ret_text);
    return rc;
}

static int write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        size -= (size_t)n;
    }
    return 0;
}

/* Closes it, too: network file systems report here what they could not write. */
static int fill(int fd, const char *text, size_t size)
{
    if (fd < 0)
        return -errno;
    int rc = write_all(fd, text, size);
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    return rc;
}

/* Makes a new file in the place of one, if there is one, with its mode. */
static int replace(const char *path, const struct stat *old, const char *text, size_t size)
{
    char *part;

    if (asprintf(&part, "%s.%d.part", path, (int)getpid()) < 0)
        return -ENOMEM;
    (void)unlink(part); /* of an earlier process of that number, if it was killed */
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 && old != NULL)
        (void)fchmod(fd, old->st_mode & 0777);
    int rc = fill(fd, text, size);
    if (rc == 0 && rename(part, path) < 0)
        rc = -errno;
    if (rc < 0)
        (void)unlink(part);
    free(part);
    return rc;
}

/* Its directory takes no new file, or the file is mounted there by itself: it can be written to all
 * the same. */
static bool has_to_stay(int rc)
{
    return rc == -EACCES || rc == -EPERM || rc == -EBUSY;
}

static int save(const char *path, const char *text, size_t size)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return errno == ENOENT ? replace(path, NULL, text, size) : -errno;
    if (S_ISDIR(status.st_mode))
        return -EISDIR;
    if (!S_ISREG(status.st_mode))
        return fill(open(path, O_WRONLY | O_CLOEXEC), text, size);
    char *behind_links = realpath(path, NULL);
    if (behind_links == NULL)
        return -errno;
    int rc = replace(behind_links, &status, text, size);
    free(behind_links);
    return has_to_stay(rc) ? fill(open(path, O_WRONLY | O_TRUNC | O_CLOEXEC), text, size) : rc;
}

int lab_page_write(const struct lab_results *results, const char *path)
{
    char *text;
    size_t size;
    int rc = make(results, &text, &size);

    if (rc < 0)
        return rc;
    rc = save(path, text, size);
    free(text);
    return rc;
}
