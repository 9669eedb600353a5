/* SPDX-License-Identifier: MIT */
/*
 * base/valgrind.h: whether the program runs under valgrind, whose checks and whose one thread at a
 * time some things must heed. Without its header at build time nobody can tell.
 */
#ifndef WEFT_BASE_VALGRIND_H
#define WEFT_BASE_VALGRIND_H

#ifdef HAVE_VALGRIND
#include <valgrind/valgrind.h>
#define UNDER_VALGRIND RUNNING_ON_VALGRIND
#else
#define UNDER_VALGRIND 0
#endif

#endif
