/* SPDX-License-Identifier: MIT */
/* What was asked of the site, and how much of it at once: proof of concurrency by counting rather
 * than by timing. Whoever calls holds the site's lock. */
#ifndef SERVE_STATS_H
#define SERVE_STATS_H

#include <stddef.h>
#include <stdint.h>

#define STATS_ROUTES_MAX 24

struct stats {
    uint64_t requests;                  /* whose headers have arrived */
    uint64_t in_flight, in_flight_most; /* of those, with all or some of the answer still to send */
    uint64_t connections;
    uint64_t open, open_most; /* connections */
    uint64_t routes[STATS_ROUTES_MAX];
};

void stats_request_begins(struct stats *stats, size_t route);
void stats_request_ends(struct stats *stats);
void stats_connection_opens(struct stats *stats);
void stats_connection_closes(struct stats *stats);

/* Starts counting anew; what is in flight or open still is, and is the new "most". */
void stats_reset(struct stats *stats);

/* One JSON object; names[i] names route i. */
#define STATS_TEXT_MAX 2048
void stats_format(const struct stats *stats, const char *const *names, size_t names_count,
                  char *text, size_t text_size);

#endif
