/* SPDX-License-Identifier: MIT */
/* Counters and their JSON form. */
#include "stats.h"

#include <inttypes.h>
#include <stdio.h>

static void raise_to(uint64_t *most, uint64_t n)
{
    if (*most < n)
        *most = n;
}

void stats_request_begins(struct stats *stats, size_t route)
{
    stats->requests++;
    stats->routes[route]++;
    raise_to(&stats->in_flight_most, ++stats->in_flight);
}

void stats_request_ends(struct stats *stats)
{
    stats->in_flight--;
}

void stats_connection_opens(struct stats *stats)
{
    stats->connections++;
    raise_to(&stats->open_most, ++stats->open);
}

void stats_connection_closes(struct stats *stats)
{
    stats->open--;
}

void stats_reset(struct stats *stats)
{
    *stats = (struct stats){
        .in_flight = stats->in_flight,
        .in_flight_most = stats->in_flight,
        .open = stats->open,
        .open_most = stats->open,
    };
}

void stats_format(const struct stats *stats, const char *const *names, size_t names_count,
                  char *text, size_t text_size)
{
    size_t n =
        (size_t)snprintf(text, text_size,
                         "{\"requests\": %" PRIu64 ", \"in_flight\": %" PRIu64
                         ", \"in_flight_most\": %" PRIu64 ", \"connections\": %" PRIu64
                         ", \"open\": %" PRIu64 ", \"open_most\": %" PRIu64 ", \"routes\": {",
                         stats->requests, stats->in_flight, stats->in_flight_most,
                         stats->connections, stats->open, stats->open_most);

    for (size_t i = 0; i < names_count && n < text_size; i++)
        n += (size_t)snprintf(text + n, text_size - n, "%s\"%s\": %" PRIu64, i > 0 ? ", " : "",
                              names[i], stats->routes[i]);
    if (n < text_size)
        snprintf(text + n, text_size - n, "}}\n");
}
