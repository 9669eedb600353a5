/* SPDX-License-Identifier: MIT */
/*
 * strand/local.c: strand-local storage.
 *
 * A key is a slot number, the same for all strands; a strand's values are an array by slot, made
 * when it sets its first one. Slots are used again after a close, so a value carries the serial
 * number of the key that it was set under, and is not seen under another.
 *
 * A thread that weft did not make drops its values when it exits, through a pthread key whose
 * destructor finds the record; strands that weft makes drop them at their end.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <weft/lock.h>

#include "strand/self.h"
#include "sync/lock.h"

enum { SLOTS = 64 };

struct weft_local {
    unsigned slot;
    uint64_t serial;
    void (*drop)(void *value);
};

struct local_value {
    void *pointer;
    uint64_t serial; /* 0: not set */
};

static weft_lock lock;          /* guards what follows */
static weft_local *keys[SLOTS]; /* in the order of opening within a slot's life */
static uint64_t last_serial;

static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static pthread_key_t exit_key;
static int exit_key_error;

static void drop_at_exit(void *record)
{
    locals_drop(record);
}

static void make_exit_key(void)
{
    exit_key_error = pthread_key_create(&exit_key, drop_at_exit);
}

int weft_local_open(weft_local **ret_local, void (*drop)(void *value))
{
    weft_local *local = malloc(sizeof *local);
    if (!local)
        return -ENOMEM;
    int rc = -EAGAIN;
    lock_inner(&lock);
    for (unsigned slot = 0; slot < SLOTS && rc < 0; slot++) {
        if (keys[slot])
            continue;
        *local = (weft_local){ .slot = slot, .serial = ++last_serial, .drop = drop };
        keys[slot] = local;
        rc = 0;
    }
    weft_lock_release(&lock);
    if (rc == 0)
        *ret_local = local;
    else
        free(local);
    return rc;
}

void weft_local_close(weft_local *local)
{
    if (!local)
        return;
    lock_inner(&lock);
    keys[local->slot] = NULL;
    weft_lock_release(&lock);
    free(local);
}

void *weft_local_get(weft_local *local)
{
    const struct local_value *values = strand_self()->locals;
    if (!values || values[local->slot].serial != local->serial)
        return NULL;
    return values[local->slot].pointer;
}

static int drop_when_thread_exits(struct strand *self)
{
    pthread_once(&exit_once, make_exit_key);
    return exit_key_error || pthread_setspecific(exit_key, self) ? -ENOMEM : 0;
}

int weft_local_set(weft_local *local, void *value)
{
    struct strand *self = strand_self();
    if (!self->locals) {
        if (self->ops == &thread_ops && drop_when_thread_exits(self) < 0)
            return -ENOMEM;
        self->locals = calloc(SLOTS, sizeof(struct local_value));
        if (!self->locals)
            return -ENOMEM;
    }
    struct local_value *values = self->locals;
    values[local->slot] = (struct local_value){ .pointer = value, .serial = local->serial };
    return 0;
}

/* Takes the value of the youngest key that is set. False: none is left. */
static bool take_youngest(struct local_value *values, struct local_value *ret_value,
                          void (**ret_drop)(void *value))
{
    weft_local *youngest = NULL;
    lock_inner(&lock);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        weft_local *key = keys[slot];
        bool set = key && values[slot].pointer && values[slot].serial == key->serial;
        if (set && (!youngest || key->serial > youngest->serial))
            youngest = key;
    }
    if (youngest) {
        *ret_value = values[youngest->slot];
        *ret_drop = youngest->drop;
        values[youngest->slot] = (struct local_value){ 0 };
    }
    weft_lock_release(&lock);
    return youngest;
}

void locals_drop(struct strand *self)
{
    struct local_value *values = self->locals;
    struct local_value value;
    void (*drop)(void *);
    if (!values)
        return;
    while (take_youngest(values, &value, &drop)) /* a drop may set others, or set its own again */
        if (drop)
            drop(value.pointer);
    free(values);
    self->locals = NULL;
    if (self->ops == &thread_ops)
        pthread_setspecific(exit_key, NULL);
}
