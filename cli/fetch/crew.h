/* SPDX-License-Identifier: MIT */
/* Kind processes: worker processes with many connections each, as their parent sees them. */
#ifndef FETCH_CREW_H
#define FETCH_CREW_H

#include "settings.h"

struct crew;

/* How many worker processes have died, other than by this program's will. */
struct deaths {
    uint64_t count;
    int signal; /* the one that killed all of them; 0: they died in several ways */
};

/* Starts settings->processes of them. Settings are borrowed until crew_close().
 * Returns 0 or -errno. */
int crew_open(struct crew **ret_crew, const struct settings *settings);

/* Kills them, for good. Errands that are under way end with -ECANCELED. */
void crew_stop(struct crew *crew);

/* Ends them. No errand is under way. NULL is allowed. */
void crew_close(struct crew *crew);

void crew_deaths(struct crew *crew, struct deaths *ret);

/* What transfer() is for the other kinds: a call whose argument is a struct task and whose context
 * is a struct crew *. Has one of the processes make the attempt, and returns its struct result. If
 * the process dies of it or of anything else, that is a FAILURE_WORKER. Cancelling it means nothing
 * any more when a process has it. */
int crew_errand(weft_call *call);

#endif
