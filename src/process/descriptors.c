/* SPDX-License-Identifier: MIT */
/*
 * process/descriptors.c: which descriptors a process keeps.
 *
 * The zygote and its children must not hold what the program had open: a pipe whose writer never
 * closes, a socket that never ends, a lock on a file. close_range() (Linux 5.9) does it in a few
 * calls; where a sandbox refuses it, /proc/self/fd says what there is. (Where that is missing too,
 * they stay open: trying every number below the limit could take a second per process.)
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process/descriptors.h"

static int ascending(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static bool listed(const int keep[], size_t n, int fd)
{
    for (size_t i = 0; i < n; i++)
        if (keep[i] == fd)
            return true;
    return false;
}

/* Closes first to last. Nothing to do if they are out of order. */
static int close_range_of(unsigned first, unsigned last)
{
    return first > last ? 0 : (int)syscall(SYS_close_range, first, last, 0);
}

static int close_by_range(const int keep[], size_t n)
{
    unsigned first = 3;
    for (size_t i = 0; i < n; i++) {
        if (keep[i] < (int)first)
            continue;
        if (close_range_of(first, (unsigned)keep[i] - 1) < 0)
            return -errno;
        first = (unsigned)keep[i] + 1;
    }
    return close_range_of(first, UINT_MAX) < 0 ? -errno : 0;
}

static void close_by_list(const int keep[], size_t n)
{
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd != dirfd(directory) && !listed(keep, n, fd))
            close(fd);
    }
    if (directory)
        closedir(directory);
}

void descriptors_keep(int keep[], size_t n)
{
    qsort(keep, n, sizeof *keep, ascending);
    if (close_by_range(keep, n) < 0)
        close_by_list(keep, n);
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/dev/null", O_RDWR); /* takes the lowest number that is free: this one */
}

int descriptors_raise(int fd)
{
    if (fd < 0 || fd > 2)
        return fd;
    int raised = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int error = errno;
    close(fd);
    return raised < 0 ? -error : raised;
}

void descriptors_silence(int null)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fd != null)
            (void)dup2(null, fd);
}

void descriptors_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

int descriptors_of_process(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : descriptors_raise(fd);
}

int descriptors_signal(int pidfd, int signo)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) < 0 ? -errno : 0;
}
