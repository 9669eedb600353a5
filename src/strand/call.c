/* SPDX-License-Identifier: MIT */
/*
 * strand/call.c: what a running function says through its call: its result and why it failed.
 *
 * A call has one of two places for its result: pub.ret, memory of fixed size that a map lent, or a
 * buffer of its own that is made when the function returns something.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "park/hold.h"
#include "strand/call.h"

static void fill(char *buffer, const void *bytes, size_t n)
{
    if (n)
        memcpy(buffer, bytes, n);
    buffer[n] = '\0';
}

void *call_buffer(const void *bytes, size_t n)
{
    char *buffer = malloc(n + 1); /* malloc aligns to 16 on every platform we build for */
    if (buffer)
        fill(buffer, bytes, n);
    return buffer;
}

void call_drop_result(struct call *call)
{
    if (call->memory)
        call->memory->give(call, call->result);
    else
        free(call->result);
    call->result = NULL;
}

int weft_call_return(weft_call *call, const void *bytes, size_t n)
{
    struct call *inner = CONTAINER(call, struct call, pub);
    if (n > CALL_BYTES_MAX || (call->ret && n > call->ret_bytes))
        return -EMSGSIZE;
    if (n && !bytes)
        return -EINVAL;
    if (call->ret) {
        if (n)
            memmove(call->ret, bytes, n); /* the function may have built it in place */
        memset((char *)call->ret + n, 0, call->ret_bytes - n);
    } else {
        void *buffer = inner->memory ? inner->memory->take(inner, n) : malloc(n + 1);
        if (!buffer)
            return -ENOMEM;
        fill(buffer, bytes, n);
        call_drop_result(inner);
        inner->result = buffer;
    }
    inner->result_bytes = n;
    return 0;
}

int weft_call_fail(weft_call *call, int error, const char *format, ...)
{
    struct call *inner = CONTAINER(call, struct call, pub);
    va_list args;
    va_start(args, format);
    vsnprintf(inner->text, sizeof inner->text, format, args);
    va_end(args);
    return error < 0 ? error : -EINVAL;
}

int call_abandoned(struct call *call, struct strand *self, unsigned holds, int status)
{
    hold_abandon(self, holds);
    if (status < 0)
        return status;
    return weft_call_fail(&call->pub, -EOWNERDEAD, "returned with a GIL, which was taken from it");
}

void call_reset(struct call *call)
{
    call_drop_result(call);
    call->result_bytes = 0;
    call->text[0] = '\0';
    if (call->pub.ret)
        memset(call->pub.ret, 0, call->pub.ret_bytes);
}

void weft_bytes_free(weft_bytes *bytes, size_t n)
{
    for (size_t i = 0; bytes && i < n; i++) {
        free(bytes[i].data);
        bytes[i] = (weft_bytes){ NULL, 0 };
    }
}

const char *weft_how_name(weft_how how)
{
    static const char *const names[] = {
        [WEFT_PENDING] = "pending", [WEFT_RUNNING] = "running",     [WEFT_DONE] = "done",
        [WEFT_FAILED] = "failed",   [WEFT_CANCELLED] = "cancelled", [WEFT_CRASHED] = "crashed",
        [WEFT_OVERDUE] = "overdue",
    };
    return (unsigned)how < sizeof names / sizeof *names ? names[how] : "unknown";
}
