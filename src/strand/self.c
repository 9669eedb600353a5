/* SPDX-License-Identifier: MIT */
/* strand/self.c: what a strand knows of itself: its id and name; and how it sleeps. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "park/park.h"
#include "strand/self.h"
#include "task/task.h"

uint64_t weft_self_id(void)
{
    return strand_self()->id;
}

weft_kind weft_self_kind(void)
{
    return strand_self()->reactor ? WEFT_TASKS : WEFT_THREADS;
}

const char *weft_self_name(void)
{
    struct strand *self = strand_self();
    if (self->name[0])
        return self->name;
    if (self->family)
        snprintf(self->name, sizeof self->name, "%.20s-%llu", self->family,
                 (unsigned long long)self->number);
    else if (self->ops == &thread_ops && gettid() == getpid())
        strcpy(self->name, "main");
    else
        snprintf(self->name, sizeof self->name, "strand-%llu", (unsigned long long)self->id);
    return self->name;
}

void weft_self_set_name(const char *name)
{
    struct strand *self = strand_self();
    snprintf(self->name, sizeof self->name, "%s", name ? name : "");
    self->traced = 0; /* a trace shall have it */
    if (!name || self->ops != &thread_ops)
        return; /* a task's worker keeps its name */
    char shown[16];
    snprintf(shown, sizeof shown, "%.15s", name);
    pthread_setname_np(pthread_self(), shown);
}

void self_set_numbered_name(const char *name, uint64_t number)
{
    char numbered[sizeof strand_self()->name];
    snprintf(numbered, sizeof numbered, "%.20s-%llu", name, (unsigned long long)number);
    weft_self_set_name(numbered);
}

int weft_sleep_until(weft_deadline when)
{
    if (when.ns <= weft_now())
        return 0;
    bool scope_first = weft_scope_deadline().ns < when.ns;
    int rc = park_wait(NULL, 0, when, PARK_FOR_SLEEP);
    return rc == -ETIMEDOUT && !scope_first ? 0 : rc;
}

const char *self_stack_middle(void)
{
    const struct strand *self = strand_self();
    if (self->reactor) {
        const struct task *task = (const struct task *)self;
        return task->stack->low + ((char *)task->beside - task->stack->low) / 2;
    }
    pthread_attr_t attributes;
    void *low;
    size_t bytes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return NULL;
    int rc = pthread_attr_getstack(&attributes, &low, &bytes);
    pthread_attr_destroy(&attributes);
    return rc == 0 ? (char *)low + bytes / 2 : NULL;
}
