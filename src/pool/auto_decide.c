/* SPDX-License-Identifier: MIT */
/*
 * pool/auto_decide.c: the rule by which a pool of kind auto has more or fewer workers.
 *
 * A call is on a CPU, wants to be (delay), waits for a GIL or a lock, or waits for something else.
 * What it would do if it had a CPU, and the lock, to itself is the first and the last: its share of
 * time on CPU is
 *
 *     share = cpu / (cpu + waiting)       waiting = busy - cpu - delay - gil - lock
 *
 * and as many calls at once as use all CPUs, on average, are
 *
 *     fair = CPUs / share
 *
 * Without the delay in it, the rule would find any number of threads that compute right: with 64 on
 * 2 CPUs each is on a CPU for 1/32 of its time. And with locks in it more workers would be the
 * answer to their waiting for each other, be it for a lock of the program's or of the pool's. Only
 * if CPUs are idle, all the same, may whoever holds the lock be waiting for a call that is queued:
 * then the pool grows slowly, as if a lock were the world.
 *
 *            base                fair             ample
 *     |--------|--- grows quickly --|-- grows slowly --|------- shrinks to fair -------->
 *                 to fair, while       while CPUs are
 *                 CPUs are free        free
 *
 * On average is not always: while one call computes, another may wait alone. So between fair and
 * ample (twice the workers that are there for waiting) the pool grows, slowly, only if CPUs are
 * idle, and never shrinks. That is also what keeps noise from moving it. It grows only if calls
 * wait for a worker and all workers have one.
 *
 * A delay is measured when it is over, which may be many windows later. The share of workers that
 * are found runnable is known at once, but is a sample of few. So the larger of both is taken.
 *
 * Times are smoothed over about SMOOTH_NS. What must be right at once is growth, as workers that
 * wait are cheap and CPUs that are idle are lost: it takes a few windows of 10 ms to any size. What
 * must be right in the end is shrinking: fewer workers must be wanted for SHRINK_NS without a
 * break, and for twice as long each time that the pool has turned round within TURN_NS, up to
 * PATIENCE_MAX_NS. So a load that goes to and fro faster than the pool can follow, or one made to
 * mislead it, finds it large and at rest.
 *
 * Where the delay is not known, or may not be all (a thread that has no quota left), workers who
 * keep all CPUs busy tell nothing of how many are needed: then the pool shrinks slowly until CPUs
 * become idle.
 *
 * Workers for more calls than there have been at once in the last second or two are let go, if they
 * are more than half of all, or if the base would have been enough: it needs nobody to watch it.
 *
 * Everything is a function of the samples: no clock is read here.
 */
#include "pool/auto_decide.h"

#define MS 1000000

enum {
    SMOOTH_NS = 40 * MS,
    SMOOTH_QUOTA_NS = 200 * MS, /* a quota's period is 100 ms: all of it, then nothing */
    WINDOW_MIN_NS = 10 * MS,
    WINDOW_MAX_NS = 50 * MS,
    RESTLESS_NS = 100 * MS, /* windows are short for so long after a change */
    GROW_NS = 20 * MS,      /* how long more must be wanted after fewer were */
    SHRINK_NS = 80 * MS,
    PATIENCE_MAX_NS = 1600 * MS,
    TURN_NS = 2000 * MS,
    FIGHT_NS = 100 * MS,
    PEAK_NS = 1000 * MS,
    GROW_BY_4_BELOW = 32,
};

/* What a window says when it was smoothed with those before it. */
struct view {
    double fair;   /* workers */
    double enough; /* the same, if waiting for a lock were waiting for the world */
    double used;   /* CPUs that calls used */
    double demand; /* the same, and those that they would have used */
    double cpus;
    double waiting; /* 0 to 1 */
    double fights;  /* share of the time inside of calls */
};

static double at_least(double a, double b)
{
    return a > b ? a : b;
}

static double at_most(double a, double b)
{
    return a < b ? a : b;
}

uint32_t auto_base(uint32_t cpus, uint32_t most)
{
    uint32_t base = cpus / 1000 + (cpus % 1000 != 0);
    base = base ? base : 1;
    return base < most ? base : most;
}

/* Sums fade as time passes; a window that was cut off, or was long, counts as one. */
static void smooth(struct auto_state *state, const struct auto_sample *sample)
{
    double wall = (double)sample->wall_ns;
    double memory = sample->quota ? SMOOTH_QUOTA_NS : SMOOTH_NS;
    double keep = state->measured ? memory / (memory + wall) : 0;
    double scale = wall > 4 * WINDOW_MAX_NS ? 4 * WINDOW_MAX_NS / wall : 1;
    double busy = at_least((double)sample->busy_ns, 0);
    double cpu = at_most(at_least((double)sample->cpu_ns, 0), busy);
    /* A delay is known when it is over: it may be longer than the window. */
    double delay = at_least((double)sample->delay_ns, 0);
    double gil = at_least((double)sample->gil_ns, 0);
    state->wall = state->wall * keep + wall * scale;
    state->busy = state->busy * keep + busy * scale;
    state->cpu = state->cpu * keep + cpu * scale;
    state->delay = state->delay * keep + delay * scale;
    state->gil = state->gil * keep + gil * scale;
    state->lock = state->lock * keep + at_least((double)sample->lock_ns, 0) * scale;
    state->asked = state->asked * keep + sample->asked;
    state->runnable = state->runnable * keep + sample->runnable;
    state->measured = true;
}

static struct view look(const struct auto_state *state, const struct auto_sample *sample)
{
    double rest = state->busy - state->cpu;
    double runnable = state->asked > 0 ? state->runnable / state->asked * state->busy : 0;
    double delay = at_most(at_least(state->delay, runnable - state->cpu), rest);
    double gil = at_most(state->gil, rest - delay);
    double lock = at_most(state->lock, rest - delay - gil);
    double own = state->busy - delay - gil - lock; /* on CPU, and waiting for the world */
    double all = sample->looked_at ? (double)sample->workers / sample->looked_at : 1;
    double cpus = sample->cpus / 1000.0;
    struct view view = { .cpus = cpus };
    view.fights = state->busy > 0 ? gil / state->busy : 0;
    view.waiting = own > 0 ? at_most(at_least((own - state->cpu) / own, 0), 1) : 0;
    view.used = state->wall > 0 ? state->cpu * all / state->wall : 0;
    view.demand = state->wall > 0 ? view.used + delay * all / state->wall : 0;
    double at_once = view.fights > 0.125 ? at_most(cpus, 1) : cpus; /* under a GIL one computes */
    double none = state->busy > 0 ? sample->most : state->size;     /* a limit to what is known */
    view.fair = state->cpu > 0 ? at_most(at_once * own / state->cpu, none) : none;
    view.enough = state->cpu > 0 ? at_most(at_once * (own + lock) / state->cpu, none) : none;
    return view;
}

/* How many calls there have been at once lately. */
static uint32_t peak(struct auto_state *state, const struct auto_sample *sample)
{
    if (state->now_ns - state->peak_ns >= PEAK_NS) {
        state->peaks[1] = state->peaks[0];
        state->peaks[0] = 0;
        state->peak_ns = state->now_ns;
    }
    uint64_t now = (uint64_t)sample->running + sample->queued;
    uint32_t calls = now < UINT32_MAX ? (uint32_t)now : UINT32_MAX;
    if (calls > state->peaks[0])
        state->peaks[0] = calls;
    return state->peaks[0] > state->peaks[1] ? state->peaks[0] : state->peaks[1];
}

static uint32_t within(double value, uint32_t least, uint32_t most)
{
    if (value >= most)
        return most;
    return value > least ? (uint32_t)value : least;
}

/* Twice as many that wait as would be fair. */
static uint32_t ample_for(double fair, uint32_t base, uint32_t least, uint32_t most)
{
    return within(fair + (fair - base) + 0.5, least, most);
}

/* The size that would be right, whenever it may be had. */
static uint32_t want(const struct auto_state *state, const struct auto_sample *sample,
                     const struct view *view, uint32_t lately)
{
    uint32_t base = auto_base(sample->cpus, sample->most), size = state->size;
    uint32_t fair = within(view->fair + 0.5, base, sample->most);
    bool idle = view->demand < 0.85 * view->cpus;
    uint32_t ample = ample_for(idle ? view->enough : view->fair, base, fair, sample->most);
    bool blind = sample->delay_ns < 0 || sample->quota;
    bool full = sample->queued && sample->running >= sample->workers;
    uint32_t needed = within(lately, base, sample->most);
    if (size > 2 * (uint64_t)needed || (size > needed && lately <= base))
        return needed;
    if (blind && size > base && view->demand >= 0.95 * view->cpus)
        return size - (size - base + 3) / 4;
    if (size > ample)
        return fair;
    if (full && size < fair && view->used < 0.95 * view->cpus)
        return fair;
    if (full && size >= fair && idle)
        return within(size + size / 4.0 + 1, size, ample);
    return size < sample->most ? size : sample->most;
}

/* How far a size may go in one window: new workers are there for calls that wait. */
static uint32_t step(const struct auto_state *state, const struct auto_sample *sample,
                     uint32_t wanted)
{
    uint32_t size = state->size;
    uint64_t most = (uint64_t)size * (size < GROW_BY_4_BELOW ? 4 : 2);
    if (most > (uint64_t)sample->running + sample->queued)
        most = (uint64_t)sample->running + sample->queued;
    if (wanted > most)
        wanted = most > size ? (uint32_t)most : size;
    return wanted;
}

static void change(struct auto_state *state, uint32_t size, int direction)
{
    if (state->direction && direction != state->direction) {
        bool soon = state->turned_ns && state->now_ns - state->turned_ns < TURN_NS;
        state->patience_ns = soon ? 2 * state->patience_ns : SHRINK_NS;
        if (state->patience_ns > PATIENCE_MAX_NS)
            state->patience_ns = PATIENCE_MAX_NS;
        state->turned_ns = state->now_ns;
    }
    state->direction = direction;
    state->changed_ns = state->now_ns;
    state->size = size;
}

/* Goes to the wanted size, if it has been wanted for long enough: since the window before this one,
 * which ended at before_ns, at least. */
static void go(struct auto_state *state, const struct auto_sample *sample, uint32_t wanted,
               int64_t before_ns)
{
    int direction = (wanted > state->size) - (wanted < state->size);
    if (!direction || direction != state->wanted)
        state->wanted_ns = direction ? before_ns : -1;
    state->wanted = direction;
    if (!direction)
        return;
    int64_t lasted = state->now_ns - state->wanted_ns;
    if (direction > 0 && (state->direction >= 0 || lasted >= GROW_NS)) {
        uint32_t size = step(state, sample, wanted);
        if (size > state->size)
            change(state, size, direction);
    } else if (direction < 0 && lasted >= state->patience_ns) {
        change(state, wanted, direction);
    }
}

/* Threads that compute under a GIL, with more than one CPU to do it on. */
static void consider_processes(struct auto_state *state, const struct auto_sample *sample,
                               const struct view *view)
{
    bool fights = view->fights > 0.25 && view->waiting < 0.5 && sample->cpus >= 2000;
    if (!fights)
        state->fought_ns = -1;
    else if (state->fought_ns < 0)
        state->fought_ns = state->now_ns;
    state->fights = fights && state->now_ns - state->fought_ns >= FIGHT_NS;
    state->processes |= state->fights && sample->movable;
}

void auto_forget(struct auto_state *state)
{
    state->wall = state->busy = state->cpu = state->delay = state->gil = state->lock = 0;
    state->asked = state->runnable = 0;
    state->wanted = 0;
    state->wanted_ns = state->fought_ns = -1;
    state->window_ns = WINDOW_MIN_NS;
}

void auto_decide(struct auto_state *state, const struct auto_sample *sample)
{
    if (!state->patience_ns) {
        uint32_t size = state->size ? state->size : auto_base(sample->cpus, sample->most);
        *state = (struct auto_state){
            .size = size, .patience_ns = SHRINK_NS, .wanted_ns = -1, .fought_ns = -1
        };
    }
    if (state->size > sample->most)
        state->size = sample->most;
    int64_t wall = sample->wall_ns < TURN_NS ? sample->wall_ns : TURN_NS;
    state->window_ns = WINDOW_MIN_NS;
    if (wall <= 0)
        return;
    state->now_ns += wall;
    uint32_t lately = peak(state, sample);
    if (sample->busy_ns > 0 || state->measured)
        smooth(state, sample);
    struct view view = look(state, sample);
    if (sample->busy_ns > 0) { /* else it tells nothing of calls */
        state->waiting = (uint32_t)(100 * view.waiting + 0.5);
        consider_processes(state, sample, &view);
    }
    uint32_t wanted = want(state, sample, &view, lately);
    state->limit = sample->limit;
    state->limited = state->size >= sample->most && view.fair >= sample->most && sample->queued;
    go(state, sample, wanted, state->now_ns - wall);
    bool restless =
        state->wanted || (state->direction && state->now_ns - state->changed_ns < RESTLESS_NS);
    if (!restless)
        state->window_ns = (int64_t)within((double)(2 * wall), WINDOW_MIN_NS, WINDOW_MAX_NS);
}
