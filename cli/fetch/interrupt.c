/* SPDX-License-Identifier: MIT */
/* Ctrl-C, as events. A handler may do little, but it may post an event, for which strands wait as
 * they wait for anything else. A third Ctrl-C changes nothing: stopping is already under way and
 * takes care that no half-written file remains. */
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

struct interrupts interrupts = { WEFT_EVENT_INIT, WEFT_EVENT_INIT };

static void on_signal(int signo)
{
    bool again = weft_event_is_set(&interrupts.finish);

    weft_event_post(&interrupts.finish);
    if (again || signo != SIGINT)
        weft_event_post(&interrupts.stop);
}

void interrupts_catch(void)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    struct sigaction before;

    sigfillset(&action.sa_mask); /* so that two handlers do not take turns */
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        /* Who started us in the background or under nohup meant these to be ignored. */
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}
