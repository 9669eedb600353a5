/* SPDX-License-Identifier: MIT */
/*
 * strand/scope.c: deadlines and shields for everything inside a block.
 *
 * A strand's scopes are a list from the innermost outwards, all on its stack and touched by nobody
 * else. Each knows its governor: the scope, itself or one around it, whose deadline comes first, so
 * that a wait looks at one pointer however deep the scopes nest. A shield starts anew: its governor
 * is itself, or nobody.
 */
#include <errno.h>

#include <weft/scope.h>

#include "park/strand.h"

void weft_scope_enter(weft_scope *scope, weft_deadline deadline, unsigned flags)
{
    struct strand *self = strand_self();
    weft_scope *governor = NULL;
    if (self->scope && !(flags & WEFT_SHIELD))
        governor = self->scope->governor;
    *scope = (weft_scope){ .outer = self->scope, .deadline = deadline, .flags = flags };
    bool sooner = deadline.ns < (governor ? governor->deadline.ns : INT64_MAX);
    scope->governor = sooner ? scope : governor;
    self->scope = scope;
    if (flags & WEFT_SHIELD)
        self->shields++;
}

int weft_scope_leave(weft_scope *scope)
{
    struct strand *self = strand_self();
    if (self->scope != scope)
        return -EINVAL;
    self->scope = scope->outer;
    if (scope->flags & WEFT_SHIELD)
        self->shields--;
    return scope->ended_something ? -ETIMEDOUT : 0;
}

weft_deadline weft_scope_deadline(void)
{
    const weft_scope *scope = strand_self()->scope;
    return scope && scope->governor ? scope->governor->deadline : WEFT_FOREVER;
}
