/* SPDX-License-Identifier: MIT */
/* A client's connection. */
#ifndef SERVE_CONNECTION_H
#define SERVE_CONNECTION_H

#include "site.h"

/* Answers what comes over the stream until the connection is to be closed. Runs in a task of
 * its own, and reserves some 70 KiB of its stack. */
void connection_run(struct site *site, weft_stream *stream);

#endif
