/* SPDX-License-Identifier: MIT */
/* Exceptions over parks, for test_exceptions.c, in C++. */
#ifndef THROWING_H
#define THROWING_H

#ifdef __cplusplus
extern "C" {
#endif

/* Throws and catches `mine` again and again, and parks while it is being handled. Returns how many
   times another one was found instead. */
int throw_and_park(int mine, int rounds);

/* Parks inside a destructor that an exception calls. Returns 0, or what went wrong. */
int park_while_unwinding(int mine);

/* Calls fn inside a handler, and rethrows after it. Returns whether the same came out. */
int rethrow_after(void (*fn)(void));

/* How many exceptions are being thrown or handled, as this strand sees it. */
int exceptions_alive(void);

#ifdef __cplusplus
}
#endif
#endif
