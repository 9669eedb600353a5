/* SPDX-License-Identifier: MIT */
/* Makes all the workers that tasks can have, whose descriptors stay, before a test counts its own.
 */
#ifndef WORKERS_H
#define WORKERS_H

void workers_make_all(void);

#endif
