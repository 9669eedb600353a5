/* SPDX-License-Identifier: MIT */
/*
 * process/surroundings.c: what a process finds around it.
 *
 * All of it is done by the process itself, with the rights that it has, before anything of the
 * user's runs in it. What fails is told in words that name the option, and ends the process.
 *
 * The limit of memory is RLIMIT_DATA, which since Linux 4.7 counts all private memory that may be
 * written: the heap and what is mapped. RLIMIT_AS would count the range of shared memory, most of
 * which is never touched. What the process has when the limit is set, which it shares with the
 * program as long as neither writes, is added to the limit: the option says what functions may
 * take, and need not guess what the program weighs (under AddressSanitizer: terabytes).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cpu_list.h"
#include "process/surroundings.h"

/* ---- the owner */

bool surroundings_wanted(const weft_options *options)
{
    return options->environment || options->directory || options->cpus || options->niceness ||
           options->memory_bytes_max || options->start != WEFT_START_ZYGOTE;
}

static size_t bytes_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static char *put(char *to, const char *text)
{
    return text ? stpcpy(to, text) + 1 : to;
}

int surroundings_pack(struct surroundings *ret, const weft_options *options)
{
    const char *const *environment = options->environment;
    size_t bytes = bytes_of(options->directory) + bytes_of(options->cpus), strings = 0;
    for (; environment && environment[strings]; strings++)
        bytes += bytes_of(environment[strings]);
    char *body = malloc(bytes + 1);
    if (!body)
        return -ENOMEM;
    char *at = put(put(body, options->directory), options->cpus);
    for (size_t i = 0; i < strings; i++)
        at = put(at, environment[i]);
    *ret = (struct surroundings){ .body = body, .body_bytes = bytes };
    ret->head = (struct surroundings_head){
        .niceness = options->niceness,
        .has_directory = options->directory,
        .has_cpus = options->cpus,
        .has_environment = environment,
        .run_again = options->start == WEFT_START_EXEC,
        .strings = strings,
    };
    return 0;
}

/* ---- the process */

__attribute__((format(printf, 3, 4))) static bool fail(struct surroundings_failure *failure,
                                                       int error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(failure->text, sizeof failure->text, format, args);
    va_end(args);
    failure->error = -error;
    size_t used = (size_t)n < sizeof failure->text ? (size_t)n : sizeof failure->text - 1;
    snprintf(failure->text + used, sizeof failure->text - used, ": %s", weft_strerror(error));
    return false;
}

static bool enter_directory(const char *path, struct surroundings_failure *failure)
{
    return chdir(path) == 0 || fail(failure, errno, "directory %.90s", path);
}

static bool bind_to(const char *text, struct surroundings_failure *failure)
{
    struct cpu_list cpus;
    if (cpu_list_parse(text, &cpus) < 0)
        return fail(failure, EINVAL, "cpus %.90s", text);
    return sched_setaffinity(0, sizeof cpus.set, cpus.set) == 0 ||
           fail(failure, errno, "cpus %.90s", text);
}

static bool become_nice(int niceness, struct surroundings_failure *failure)
{
    errno = 0; /* -1 may be the new niceness */
    return nice(niceness) != -1 || errno == 0 || fail(failure, errno, "niceness %d", niceness);
}

/* The environment becomes n strings, which lie behind each other and stay where they are. */
static bool replace_environment(char *text, size_t n, struct surroundings_failure *failure)
{
    char **list = malloc((n + 1) * sizeof *list);
    if (!list)
        return fail(failure, ENOMEM, "environment");
    for (size_t i = 0; i < n; i++) {
        list[i] = text;
        text += strlen(text) + 1;
    }
    list[n] = NULL;
    environ = list;
    return true;
}

bool surroundings_apply(const struct surroundings_head *head, char *body,
                        struct surroundings_failure *failure)
{
    char *directory = body;
    char *cpus = directory + (head->has_directory ? bytes_of(directory) : 0);
    char *environment = cpus + (head->has_cpus ? bytes_of(cpus) : 0);
    if (head->has_directory && !enter_directory(directory, failure))
        return false;
    if (head->has_cpus && !bind_to(cpus, failure))
        return false;
    if (head->niceness && !become_nice(head->niceness, failure))
        return false;
    return !head->has_environment ||
           replace_environment(environment, (size_t)head->strings, failure);
}

/* How much of what RLIMIT_DATA counts the process has. Returns 0 or -errno. */
static int data_bytes(uint64_t *ret)
{
    unsigned long long kib;
    char line[200];
    int rc = -ENODATA;
    FILE *status = fopen("/proc/self/status", "re");
    if (!status)
        return -errno;
    while (rc < 0 && fgets(line, sizeof line, status))
        if (sscanf(line, "VmData: %llu kB", &kib) == 1)
            rc = 0;
    fclose(status);
    if (rc == 0)
        *ret = (uint64_t)kib << 10;
    return rc;
}

bool surroundings_limit_memory(uint64_t bytes, struct surroundings_failure *failure)
{
    struct rlimit limit;
    uint64_t has = 0;
    int rc = data_bytes(&has);
    if (rc < 0)
        return fail(failure, -rc, "memory_bytes_max, read from /proc/self/status");
    if (bytes > RLIM_INFINITY - 1 - has)
        return true; /* more than there are addresses */
    if (getrlimit(RLIMIT_DATA, &limit) < 0)
        return fail(failure, errno, "memory_bytes_max");
    if (limit.rlim_cur > has + bytes)
        limit.rlim_cur = has + bytes;
    if (limit.rlim_max > has + bytes)
        limit.rlim_max = has + bytes;
    return setrlimit(RLIMIT_DATA, &limit) == 0 || fail(failure, errno, "memory_bytes_max");
}
