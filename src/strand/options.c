/* SPDX-License-Identifier: MIT */
/*
 * strand/options.c: checks and copies options, so that groups and pools can rely on them: no
 * pointer of the caller's stays in use but a lent one, and no promise is made that the kind cannot
 * keep.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/cpu_list.h"
#include "strand/call.h"
#include "strand/options.h"

#define NICENESS_MAX 39 /* from the one end, -20, to the other, 19 */

bool options_strict(void)
{
    static uint32_t known;                  /* atomic; 0: not yet, 1: no, 2: yes */
    uint32_t strict = load_relaxed(&known); /* relaxed: whoever computes it gets the same */
    if (!strict) {
        const char *value = getenv("WEFT_STRICT");
        strict = value && strcmp(value, "1") == 0 ? 2 : 1;
        store_relaxed(&known, strict);
    }
    return strict == 2;
}

/* What is said about a worker's process. */
static int check_process(const weft_options *options)
{
    struct cpu_list cpus;
    for (const char *const *at = options->environment; at && *at; at++)
        if (!strchr(*at, '=') || **at == '=')
            return -EINVAL;
    if (options->cpus && cpu_list_parse(options->cpus, &cpus) < 0)
        return -EINVAL;
    if ((options->directory && !*options->directory) || options->niceness < -NICENESS_MAX ||
        options->niceness > NICENESS_MAX || (unsigned)options->start > WEFT_START_FORK)
        return -EINVAL;
    return 0;
}

static int check(const weft_options *options, weft_kind kind)
{
    if ((unsigned)kind < WEFT_SERIAL || (unsigned)kind > WEFT_AUTO)
        return -EINVAL;
    for (size_t i = 0; i < sizeof options->reserved / sizeof *options->reserved; i++)
        if (options->reserved[i])
            return -EINVAL;
    if (options->on_failure && options->on_failure != WEFT_CANCEL_REST &&
        options->on_failure != WEFT_GO_ON)
        return -EINVAL;
    if (options->call_timeout_ns < 0 || options->grace_ns < 0)
        return -EINVAL;
    int rc = check_process(options);
    if (rc < 0)
        return rc;
    bool promises_process = options->call_timeout_ns || options->attempts_max > 1 ||
                            options->environment || options->directory || options->memory_bytes_max;
    return promises_process && kind != WEFT_PROCESSES && kind != WEFT_AUTO ? -ENOTSUP : 0;
}

/* A copy of a list of strings, in one piece. NULL: no memory. */
static const char *const *copy_strings(const char *const *list)
{
    size_t n = 0, bytes = 0;
    for (; list[n]; n++)
        bytes += strlen(list[n]) + 1;
    const char **copy = malloc((n + 1) * sizeof *copy + bytes);
    if (!copy)
        return NULL;
    char *text = (char *)(copy + n + 1);
    for (size_t i = 0; i < n; i++) {
        copy[i] = text;
        text = stpcpy(text, list[i]) + 1;
    }
    copy[n] = NULL;
    return copy;
}

/* Copies what has no limit to its size, instead of which there is NULL until it was copied. */
static int copy_texts(weft_options *ret, const weft_options *options, weft_kind kind)
{
    const char *name = options->name ? options->name : weft_kind_name(kind);
    ret->name = strdup(name);
    ret->directory = options->directory ? strdup(options->directory) : NULL;
    ret->cpus = options->cpus ? strdup(options->cpus) : NULL;
    ret->environment = options->environment ? copy_strings(options->environment) : NULL;
    bool complete = ret->name && !ret->directory == !options->directory &&
                    !ret->cpus == !options->cpus && !ret->environment == !options->environment;
    return complete ? 0 : -ENOMEM;
}

static void free_texts(weft_options *options)
{
    free((char *)options->name);
    free((char *)options->directory);
    free((char *)options->cpus);
    free((void *)options->environment);
}

static int copy_context(weft_options *options)
{
    if (options->context_bytes == WEFT_POINTER)
        return options_strict() ? -EFAULT : 0;
    if (options->context_bytes == WEFT_STRING)
        options->context_bytes = options->context ? strlen(options->context) + 1 : 0;
    if (options->context_bytes > CALL_BYTES_MAX)
        return -EMSGSIZE;
    if (!options->context_bytes) {
        options->context = NULL;
        return 0;
    }
    if (!options->context)
        return -EINVAL;
    options->context = call_buffer(options->context, options->context_bytes);
    return options->context ? 0 : -ENOMEM;
}

int options_copy(weft_options *ret, const weft_options *options, weft_kind kind)
{
    *ret = options ? *options : (weft_options){ 0 };
    int rc = check(ret, kind);
    if (rc < 0)
        return rc;
    if (!ret->on_failure)
        ret->on_failure = WEFT_CANCEL_REST;
    if (!ret->grace_ns)
        ret->grace_ns = 2 * WEFT_S;
    weft_options given = *ret;
    rc = copy_texts(ret, &given, kind);
    if (rc == 0)
        rc = copy_context(ret);
    if (rc < 0)
        free_texts(ret);
    return rc;
}

void options_free(weft_options *options)
{
    free_texts(options);
    if (options->context_bytes != WEFT_POINTER)
        free((void *)options->context);
}
