/* SPDX-License-Identifier: MIT */
/*
 * weft/trace.h: a picture of what all strands did when: WEFT_TRACE.
 *
 *     WEFT_TRACE=trace.json ./program
 *
 * writes a span for each call and each wait of every strand, for https://ui.perfetto.dev or
 * chrome://tracing. The program need not know; docs/tracing.md says what is in the file. This
 * header is for a program that wants to say why there is none.
 */
#ifndef WEFT_TRACE_H
#define WEFT_TRACE_H

#include <weft/base.h>

WEFT_BEGIN

/*
 * Whether what this process does is being written down.
 * Returns  1: it is; 0: nobody asked for it, the trace is closed, or this is a child that the
 *          program forked by itself; -EINVAL: WEFT_TRACE names what is no regular file, or
 *          WEFT_TRACE_MAX or WEFT_TRACE_KEEP says nonsense; -ELOOP: a symbolic link; what open()
 *          and write() say (-EACCES, -ENOENT, -EROFS, -ENOSPC ...); -EBUSY: traces are being
 *          written to it and to the same with .PID; -ENOMEM, -EMFILE, -EAGAIN: the system has no
 *          room for the process that writes it.
 */
int weft_trace_state(void);

WEFT_END
#endif
