/* SPDX-License-Identifier: MIT */
/*
 * pool/auto_limits.c: how many threads a pool of kind auto may have before something runs out.
 *
 * These are estimates: others take of the same, and what a call needs is its own affair. They err
 * towards fewer. What is only known by trying (other processes of the same user, the pids of a
 * cgroup) is tried: a thread that is refused is a limit, too (auto.c).
 *
 *   processes     RLIMIT_NPROC counts all threads of a user: those of this process are known. It
 *                 does not bind root
 *   addresses     RLIMIT_AS less what is mapped, in stacks
 *   memory        half of what the machine and the cgroups have to give, if each thread takes what
 *                 one that does something does (its stack's deepest pages, its heap); and of what
 *                 RLIMIT_DATA leaves, where all of a stack counts
 *   descriptors   half of those that are not open, two for each: calls that wait, wait for one
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/number.h"
#include "pool/auto.h"

enum { TAKEN_BYTES = 256 * 1024 };

struct bound {
    uint64_t most;
    enum auto_limit limit;
};

static void bind(struct bound *bound, uint64_t most, enum auto_limit limit)
{
    if (most < bound->most)
        *bound = (struct bound){ most, limit };
}

/* A soft limit; UINT64_MAX: none. */
static uint64_t limit_of(int resource)
{
    struct rlimit limit;
    if (getrlimit((__typeof__(RLIMIT_AS))resource, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur;
}

/* Since Linux 6.2 the size of the directory says it; UINT64_MAX: not known. */
static uint64_t count_descriptors(uint64_t limit)
{
    struct stat status;
    if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0)
        return (uint64_t)status.st_size;
    uint64_t n = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return errno == EMFILE ? limit : UINT64_MAX; /* none is left even for this */
    while (readdir(directory))
        n++;
    closedir(directory);
    return n;
}

static size_t stack_of(const weft_options *options)
{
    pthread_attr_t attributes;
    size_t bytes = options->stack_bytes;
    if (!bytes && pthread_attr_init(&attributes) == 0) {
        (void)pthread_attr_getstacksize(&attributes, &bytes);
        pthread_attr_destroy(&attributes);
    }
    return bytes ? bytes : (size_t)8 << 20;
}

/* What is left of a limit, if so much is used; that is not known: all. */
static uint64_t left_of(uint64_t limit, uint64_t used)
{
    if (limit == UINT64_MAX || used == UINT64_MAX)
        return limit;
    return limit > used ? limit - used : 0;
}

static void bind_processes(struct bound *bound, uint32_t workers)
{
    uint64_t limit = limit_of(RLIMIT_NPROC);
    if (limit != UINT64_MAX && geteuid() != 0)
        bind(bound, workers + left_of(limit, base_number_in("/proc/self/status", "Threads:")),
             AUTO_LIMIT_PROCESSES);
}

static void bind_memory(struct bound *bound, uint32_t workers, size_t stack)
{
    uint64_t addresses = limit_of(RLIMIT_AS), data = limit_of(RLIMIT_DATA);
    if (addresses != UINT64_MAX) {
        uint64_t used = base_number_in("/proc/self/status", "VmSize:");
        used = used == UINT64_MAX ? used : used * 1024;
        bind(bound, workers + left_of(addresses, used) / 2 / stack, AUTO_LIMIT_ADDRESSES);
    }
    if (data != UINT64_MAX) {
        uint64_t used = base_number_in("/proc/self/status", "VmData:");
        used = used == UINT64_MAX ? used : used * 1024;
        bind(bound, workers + left_of(data, used) / 2 / stack, AUTO_LIMIT_MEMORY);
    }
    uint64_t available = base_number_in("/proc/meminfo", "MemAvailable:");
    if (available != UINT64_MAX)
        bind(bound, workers + available * 1024 / 2 / TAKEN_BYTES, AUTO_LIMIT_MEMORY);
    uint64_t left = base_memory_left("");
    if (left != UINT64_MAX)
        bind(bound, workers + left / 2 / TAKEN_BYTES, AUTO_LIMIT_MEMORY);
}

static void bind_descriptors(struct bound *bound, uint32_t workers)
{
    uint64_t limit = limit_of(RLIMIT_NOFILE);
    if (limit != UINT64_MAX)
        bind(bound, workers + left_of(limit, count_descriptors(limit)) / 2 / 2,
             AUTO_LIMIT_DESCRIPTORS);
}

uint32_t auto_most(const weft_options *options, bool preset, uint32_t workers,
                   enum auto_limit *ret_limit)
{
    struct bound bound = { options->workers, preset ? AUTO_LIMIT_PRESET : AUTO_LIMIT_OPTION };
    bind_processes(&bound, workers);
    bind_memory(&bound, workers, stack_of(options));
    bind_descriptors(&bound, workers);
    *ret_limit = bound.limit;
    return bound.most ? (uint32_t)bound.most : 1;
}

const char *auto_limit_words(enum auto_limit limit)
{
    static const char *const names[] = {
        [AUTO_LIMIT_OPTION] = "options.workers allows",
        [AUTO_LIMIT_PRESET] = "there are if options.workers is 0",
        [AUTO_LIMIT_PROCESSES] = "RLIMIT_NPROC allows",
        [AUTO_LIMIT_ADDRESSES] = "RLIMIT_AS allows",
        [AUTO_LIMIT_MEMORY] = "there is memory for",
        [AUTO_LIMIT_DESCRIPTORS] = "RLIMIT_NOFILE allows",
        [AUTO_LIMIT_SYSTEM] = "the system has threads for",
        [AUTO_LIMIT_ENTER] = "could be entered",
    };
    return names[limit];
}
