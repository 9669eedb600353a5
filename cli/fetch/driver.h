/* SPDX-License-Identifier: MIT */
/* The strand that hands out the URLs and takes the results. */
#ifndef FETCH_DRIVER_H
#define FETCH_DRIVER_H

#include "settings.h"

/* Fetches everything; a call whose argument is the bytes of a struct settings *. Cancelling it
 * stops at once. It returns an exit_code. */
int drive(weft_call *call);

#endif
