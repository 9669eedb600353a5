/* SPDX-License-Identifier: MIT */
/* An answer on its way. */
#ifndef SERVE_SEND_H
#define SERVE_SEND_H

#include <stdbool.h>

#include "outgoing.h"
#include "site.h"

/* Puts the exchange's answer, which has a status, into the output; its last part stays there, for
 * outgoing_flush().
 * Shape    keep: whether the client wants to keep the connection.
 * Returns  whether it is kept. */
bool send_answer(const struct exchange *x, struct outgoing *out, bool keep);

/* Frees what an answer owns. */
void answer_deinit(struct answer *answer);

#endif
