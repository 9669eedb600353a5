/* SPDX-License-Identifier: MIT */
/* base/helper.c: a thread inherits the mask of its maker, which is changed for that moment. */
#include <pthread.h>
#include <signal.h>

#include "base/helper.h"

/* All signals but those that a thread raises by a mistake of its own: blocked, they would end the
   program without a word to its handlers. */
static void mask_of_helpers(sigset_t *ret)
{
    static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
    sigfillset(ret);
    for (unsigned i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(ret, own[i]);
}

int helper_start(void *(*body)(void *ctx), void *ctx)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t mask, before;
    int rc = pthread_attr_init(&attributes);
    if (rc)
        return -rc;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    mask_of_helpers(&mask);
    pthread_sigmask(SIG_SETMASK, &mask, &before);
    rc = pthread_create(&thread, &attributes, body, ctx);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -rc;
}
