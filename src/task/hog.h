/* SPDX-License-Identifier: MIT */
/* task/hog.h: a task that keeps its worker from the others is named, if WEFT_HOGS asks for it. */
#ifndef WEFT_TASK_HOG_H
#define WEFT_TASK_HOG_H

struct worker;

/* Before the first worker. Returns 0; -EINVAL: WEFT_HOGS says nonsense; -EAGAIN, -ENOMEM. */
int hog_prepare(void);

/* Has the calling thread, the worker's, looked at from now on. */
void hog_watch(struct worker *worker);

#endif
