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
#include "strand/call.h"
#include "strand/options.h"

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

static int check(const weft_options *options, weft_kind kind)
{
    if (kind != WEFT_SERIAL && kind != WEFT_THREADS && kind != WEFT_TASKS && kind != WEFT_PROCESSES)
        return -EINVAL;
    for (size_t i = 0; i < sizeof options->reserved / sizeof *options->reserved; i++)
        if (options->reserved[i])
            return -EINVAL;
    if (options->on_failure && options->on_failure != WEFT_CANCEL_REST &&
        options->on_failure != WEFT_GO_ON)
        return -EINVAL;
    if (options->call_timeout_ns < 0 || options->grace_ns < 0)
        return -EINVAL;
    bool killable = kind == WEFT_PROCESSES;
    if (!killable && (options->call_timeout_ns || options->attempts_max > 1))
        return -ENOTSUP;
    return 0;
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
    ret->name = strdup(ret->name ? ret->name : weft_kind_name(kind));
    if (!ret->name)
        return -ENOMEM;
    rc = copy_context(ret);
    if (rc < 0)
        free((char *)ret->name);
    return rc;
}

void options_free(weft_options *options)
{
    free((char *)options->name);
    if (options->context_bytes != WEFT_POINTER)
        free((void *)options->context);
}
