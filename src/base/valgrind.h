/* SPDX-License-Identifier: MIT */
/* base/valgrind.h: whether valgrind runs the program; false where its header was not there. */
#ifndef WEFT_BASE_VALGRIND_H
#define WEFT_BASE_VALGRIND_H

#ifdef HAVE_VALGRIND
#include <valgrind/valgrind.h>
#define UNDER_VALGRIND RUNNING_ON_VALGRIND
#else
#define UNDER_VALGRIND 0
#endif

#endif
