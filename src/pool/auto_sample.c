/* SPDX-License-Identifier: MIT */
/*
 * pool/auto_sample.c: measures the workers of a pool of kind auto from outside.
 *
 * Time inside of calls is what the workers note themselves. CPU time is the thread's own clock,
 * which is exact at any moment; how long it wanted a CPU and had none is in its schedstat, which
 * knows of a delay only when it is over. So a few are asked by their state ("R") whether they want
 * one right now.
 *
 * The first AUTO_LOOKED_AT workers stand for all: calls go to whoever is free. For 64 workers this
 * is about 0.3 ms of CPU time per window of 50 ms.
 *
 * Sources: proc_pid_schedstat(5) and proc_pid_stat(5), the kernel's kernel/sched/stats.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpus.h"
#include "pool/auto.h"
#include "pool/pool.h"

enum { ASKED = 16 };

/* What is read of a small file of a thread's. False: it is gone, or there is no such file. */
static bool read_file(int tid, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/%s", tid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* How long a thread has waited for a CPU in all; -1: nobody knows. "CPU DELAY SLICES\n" */
static int64_t delay_of(int tid)
{
    char text[96], *end;
    if (!read_file(tid, "schedstat", text, sizeof text))
        return -1;
    unsigned long long cpu = strtoull(text, &end, 10);
    unsigned long long delay = strtoull(end, &end, 10);
    return cpu && delay <= INT64_MAX ? (int64_t)delay : -1;
}

/* "TID (NAME) S ..." */
static bool is_runnable(int tid)
{
    char text[128];
    const char *after = read_file(tid, "stat", text, sizeof text) ? strrchr(text, ')') : NULL;
    return after && after[1] == ' ' && after[2] == 'R';
}

static int64_t cpu_of(clockid_t clock)
{
    struct timespec time;
    if (clock_gettime(clock, &time) < 0)
        return -1;
    return (int64_t)time.tv_sec * WEFT_S + time.tv_nsec;
}

/* One worker, as it was under the lock. */
struct seen {
    uint32_t number, life;
    int tid;
    clockid_t clock;
    bool runs;
    int64_t busy_ns;
    uint64_t gil_ns;
    int64_t lock_ns;
};

/* How long a strand has waited for locks. Relaxed: between both loads a wait may have ended, which
   one window then does not know and the next one does. */
static int64_t lock_wait_of(const struct strand *strand, int64_t now)
{
    int64_t since = load_relaxed(&strand->lock_since_ns);
    return (int64_t)load_relaxed(&strand->lock_wait_ns) + (since && now > since ? now - since : 0);
}

static uint32_t see_all(weft_pool *pool, int64_t now, struct seen *ret, struct auto_sample *sample)
{
    struct pilot *pilot = pool->pilot;
    uint32_t n = 0;
    weft_lock_lock(&pool->lock);
    sample->workers = pilot_size(pilot);
    sample->running = pilot->running;
    sample->queued = pool->queued;
    for (uint32_t i = 0; i < pilot->bound && i < AUTO_LOOKED_AT; i++) {
        const struct gauge *gauge = &pool->workers[i].gauge;
        if (gauge->state != GAUGE_AT_WORK || !gauge->tid)
            continue;
        int64_t since = gauge->since_ns;
        ret[n++] = (struct seen){
            .number = i,
            .life = gauge->life,
            .tid = gauge->tid,
            .clock = gauge->clock,
            .runs = since != 0,
            .busy_ns = gauge->busy_ns + (since && now > since ? now - since : 0),
            .gil_ns = load_relaxed(&gauge->strand->gil_wait_ns), /* relaxed: a statistic */
            .lock_ns = lock_wait_of(gauge->strand, now),
        };
    }
    weft_lock_release(&pool->lock);
    return n;
}

/* Adds what has happened to a worker since it was read last. */
static void add(struct auto_sample *sample, struct reading *reading, const struct seen *seen)
{
    struct reading now = { .life = seen->life,
                           .busy_ns = seen->busy_ns,
                           .cpu_ns = cpu_of(seen->clock),
                           .delay_ns = delay_of(seen->tid),
                           .gil_ns = seen->gil_ns,
                           .lock_ns = seen->lock_ns };
    if (now.cpu_ns < 0)
        return; /* it has just ended */
    int64_t busy = now.busy_ns - reading->busy_ns, cpu = now.cpu_ns - reading->cpu_ns;
    if (reading->life == now.life && busy > 0) {
        sample->busy_ns += busy;
        sample->cpu_ns += cpu < busy ? cpu : busy;
        sample->gil_ns += (int64_t)(now.gil_ns - reading->gil_ns);
        sample->lock_ns += now.lock_ns - reading->lock_ns;
        if (now.delay_ns < 0 || reading->delay_ns < 0)
            sample->delay_ns = -1;
        else if (sample->delay_ns >= 0)
            sample->delay_ns += now.delay_ns - reading->delay_ns;
    }
    *reading = now;
}

/* Of some workers that run calls, how many want a CPU. */
static void ask_states(const struct seen *seen, uint32_t n, struct auto_sample *sample)
{
    uint32_t every = n / ASKED + 1;
    for (uint32_t i = 0; i < n; i += every) {
        if (!seen[i].runs)
            continue;
        sample->asked++;
        sample->runnable += is_runnable(seen[i].tid);
    }
}

void auto_look(weft_pool *pool, struct auto_sample *ret)
{
    struct pilot *pilot = pool->pilot;
    struct seen seen[AUTO_LOOKED_AT];
    int64_t now = weft_now();
    struct auto_sample sample = { .wall_ns = now - pilot->looked_ns };
    pilot->looked_ns = now;
    uint32_t n = see_all(pool, now, seen, &sample);
    sample.looked_at = n;
    for (uint32_t i = 0; i < n; i++)
        add(&sample, &pilot->readings[seen[i].number], &seen[i]);
    ask_states(seen, n, &sample);
    *ret = sample;
}
