/* SPDX-License-Identifier: MIT */
/*
 * Introduces weft_gil: one Lua state shared by threads, beside a state for each, and processes.
 *
 *     13_lua_gil [CALLS [WORKERS]]
 *
 * A Lua state must be used by one strand at a time. Under a global interpreter lock many can share
 * one, with all its variables, and stock Lua needs no change for it:
 *
 *   Each strand has a Lua thread of the state, which is a stack of its own, and enters the GIL
 *   around each call of Lua.
 *   Every thousand instructions Lua calls a hook, where weft_gil_check() lets others have a turn.
 *   sleep(), which scripts get from C, waits through weft, and this GIL was told that whoever
 *   waits through weft gives it up meanwhile.
 *
 * Hooks and C functions are where Lua allows its state to be used by others. Errors must stay
 * inside of lua_pcall(): one that nobody catches jumps into the main Lua thread, on another
 * strand's stack.
 *
 * A script that computes and one that waits are called CALLS times in each way. The table shows
 * what a GIL costs and what it does not: scripts that wait overlap (asleep: how many at most);
 * scripts that compute do not, unless each has a state of its own. What the second row loses to
 * the first is the price of stock Lua's hook: with one, it counts instructions one by one. Of the
 * GIL are shown how often it went from one to another, and the longest time that one waited for it.
 */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

enum { CALLS_MAX = 100000, WORKERS_MAX = 1024, CHECK_EVERY = 1000 /* instructions */ };

static const char scripts[] = "-- The longest of 2000 Collatz sequences.\n"
                              "function compute(n)\n"
                              "  local longest = 0\n"
                              "  for start = 2000 * n + 1, 2000 * n + 2000 do\n"
                              "    local x, steps = start, 0\n"
                              "    while x > 1 do\n"
                              "      if x % 2 == 0 then x = x // 2 else x = 3 * x + 1 end\n"
                              "      steps = steps + 1\n"
                              "    end\n"
                              "    if steps > longest then longest = steps end\n"
                              "  end\n"
                              "  return longest\n"
                              "end\n"
                              "-- Asks four servers in turn, or would.\n"
                              "function wait(n)\n"
                              "  local sum = 0\n"
                              "  for server = 1, 4 do\n"
                              "    sleep(5)\n"
                              "    sum = sum + n * server\n"
                              "  end\n"
                              "  return sum\n"
                              "end\n";

/* How many calls are in sleep() at once. In shared memory, so that processes count, too. */
struct meter {
    atomic_int asleep, most;
};

/* A Lua state that strands share. */
struct shared {
    weft_gil gil;
    lua_State *lua;
};

/* The context of every call; its pointers hold in processes, too, but for shared. */
struct setting {
    const char *function;
    struct meter *meter;
    struct shared *shared; /* NULL: each worker has a state of its own */
};

struct worker {
    lua_State *lua; /* the script's function lies at 1 on its stack */
    struct shared *shared;
    int anchor; /* keeps the Lua thread from Lua's garbage collector */
};

/* ---- Lua */

static int lua_sleep(lua_State *lua)
{
    struct meter *meter = lua_touserdata(lua, lua_upvalueindex(1));
    lua_Integer ms = luaL_checkinteger(lua, 1);
    int asleep = atomic_fetch_add(&meter->asleep, 1) + 1, most = atomic_load(&meter->most);
    while (asleep > most && !atomic_compare_exchange_weak(&meter->most, &most, asleep))
        continue;
    int rc = weft_sleep_until(weft_after(ms * WEFT_MS)); /* the GIL is others' meanwhile */
    atomic_fetch_sub(&meter->asleep, 1);
    return rc < 0 ? luaL_error(lua, "sleep: %s", weft_strerror(rc)) : 0;
}

static void hook(lua_State *lua, lua_Debug *where)
{
    weft_gil *gil = *(weft_gil **)lua_getextraspace(lua);
    (void)where;
    weft_gil_check(gil);
    if (weft_cancelled())
        luaL_error(lua, "cancelled");
}

/* Protected: loads the scripts, and leaves the setting's function. */
static int load(lua_State *lua)
{
    const struct setting *setting = lua_touserdata(lua, 1);
    luaL_openlibs(lua);
    lua_pushlightuserdata(lua, setting->meter);
    lua_pushcclosure(lua, lua_sleep, 1);
    lua_setglobal(lua, "sleep");
    if (luaL_loadstring(lua, scripts) != LUA_OK)
        return lua_error(lua);
    lua_call(lua, 0, 0);
    lua_getglobal(lua, setting->function);
    return 1;
}

/* Returns NULL without memory. */
static lua_State *open_state(struct setting *setting)
{
    lua_State *lua = luaL_newstate();
    if (!lua)
        return NULL;
    lua_pushcfunction(lua, load);
    lua_pushlightuserdata(lua, setting);
    if (lua_pcall(lua, 1, 1, 0) == LUA_OK)
        return lua;
    lua_close(lua);
    return NULL;
}

/* New Lua threads inherit the main one's hook and its extra space. */
static int open_shared(struct shared *shared, struct setting *setting)
{
    weft_gil_init(&shared->gil, 0, true);
    shared->lua = open_state(setting);
    if (!shared->lua)
        return -ENOMEM;
    *(weft_gil **)lua_getextraspace(shared->lua) = &shared->gil;
    lua_sethook(shared->lua, hook, LUA_MASKCOUNT, CHECK_EVERY);
    return 0;
}

/* Protected: makes the worker's Lua thread, and gives it the function. */
static int join(lua_State *lua)
{
    struct worker *worker = lua_touserdata(lua, 1);
    worker->lua = lua_newthread(lua);
    worker->anchor = luaL_ref(lua, LUA_REGISTRYINDEX);
    lua_xmove(lua, worker->lua, 1);
    return 0;
}

/* ---- What workers do */

static int join_shared(struct worker *worker)
{
    lua_State *lua = worker->shared->lua;
    int rc = weft_gil_enter(&worker->shared->gil, WEFT_FOREVER);
    if (rc < 0)
        return rc;
    lua_pushcfunction(lua, join);
    lua_pushlightuserdata(lua, worker);
    lua_pushvalue(lua, 1);
    if (lua_pcall(lua, 2, 0, 0) != LUA_OK) {
        lua_settop(lua, 1);
        rc = -ENOMEM;
    }
    weft_gil_leave(&worker->shared->gil);
    return rc;
}

static int enter(weft_call *call, void **ret_worker)
{
    struct setting *setting = call->context;
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return -ENOMEM;
    worker->shared = setting->shared;
    worker->lua = worker->shared ? NULL : open_state(setting);
    int rc = worker->lua ? 0 : -ENOMEM;
    if (worker->shared)
        rc = join_shared(worker);
    if (rc == 0)
        *ret_worker = worker;
    else
        free(worker);
    return rc;
}

/* A worker that cannot have the GIL any more leaves its Lua thread to lua_close(). */
static void leave(void *pointer)
{
    struct worker *worker = pointer;
    if (!worker->shared) {
        lua_close(worker->lua);
    } else if (weft_gil_enter(&worker->shared->gil, WEFT_FOREVER) == 0) {
        luaL_unref(worker->shared->lua, LUA_REGISTRYINDEX, worker->anchor);
        weft_gil_leave(&worker->shared->gil);
    }
    free(worker);
}

/* With the GIL, if there is one. */
static int run_function(weft_call *call, lua_State *lua, lua_Integer *ret)
{
    int rc = 0;
    lua_pushvalue(lua, 1);
    lua_pushinteger(lua, (lua_Integer)call->index);
    if (lua_pcall(lua, 1, 1, 0) == LUA_OK)
        *ret = lua_tointeger(lua, -1);
    else
        rc = weft_call_fail(call, weft_cancelled() ? -ECANCELED : -EINVAL, "%s",
                            lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : "no words");
    lua_settop(lua, 1);
    return rc;
}

static int run_script(weft_call *call)
{
    struct worker *worker = call->worker;
    lua_Integer result = 0;
    int rc = worker->shared ? weft_gil_enter(&worker->shared->gil, WEFT_FOREVER) : 0;
    if (rc < 0)
        return rc;
    rc = run_function(call, worker->lua, &result);
    if (worker->shared)
        weft_gil_leave(&worker->shared->gil);
    return rc < 0 ? rc : weft_call_return(call, &result, sizeof result);
}

/* ---- The ways */

static const struct way {
    const char *name;
    weft_kind kind;
    bool shared;
} ways[] = {
    { "one after the other", WEFT_SERIAL, false },
    { "the same, under the GIL", WEFT_SERIAL, true },
    { "threads, one state under the GIL", WEFT_THREADS, true },
    { "tasks, one state under the GIL", WEFT_TASKS, true },
    { "threads, a state each", WEFT_THREADS, false },
    { "processes, a state each", WEFT_PROCESSES, false },
};
enum { WAYS = sizeof ways / sizeof *ways };

/* What a script took, in one way. */
struct figures {
    int64_t took_ns;
    int most_asleep;
    weft_gil_counts gil;
};

struct job {
    size_t calls;
    uint32_t workers;
    struct meter *meter;
    lua_Integer *expected, *results; /* expected: from the first way */
};

static void complain(const weft_outcome *outcome, void *ctx)
{
    fprintf(stderr, "%s: %s\n", (const char *)ctx, outcome->text);
}

static int map(const struct way *way, const struct setting *setting, const struct job *job,
               lua_Integer *results)
{
    weft_options options = { .workers = job->workers,
                             .context = setting,
                             .context_bytes = sizeof *setting,
                             .enter = enter,
                             .leave = leave,
                             .on_error = complain,
                             .on_error_ctx = (void *)setting->function };
    weft_map calls = { .count = job->calls, .out_bytes = sizeof *results };
    weft_pool *pool;
    calls.out = results;
    int rc = weft_pool_open(&pool, way->kind, &options);
    if (rc < 0)
        return rc;
    rc = weft_pool_map(pool, run_script, &calls, WEFT_FOREVER);
    weft_pool_close(pool);
    return rc;
}

static int run_way(const struct way *way, const char *function, const struct job *job,
                   lua_Integer *results, struct figures *ret)
{
    struct shared shared = { .lua = NULL };
    struct setting setting = { function, job->meter, way->shared ? &shared : NULL };
    int rc = way->shared ? open_shared(&shared, &setting) : 0;
    int64_t began = weft_now();
    atomic_store(&job->meter->most, 0);
    if (rc == 0)
        rc = map(way, &setting, job, results);
    ret->took_ns = weft_now() - began; /* with the start and the end of the workers */
    ret->most_asleep = atomic_load(&job->meter->most);
    if (way->shared && shared.lua) {
        weft_gil_counters(&shared.gil, &ret->gil);
        lua_close(shared.lua);
    }
    return rc;
}

static void print_row(const char *function, const struct way *way, size_t calls,
                      const struct figures *figures, int64_t first_ns)
{
    double seconds = (double)figures->took_ns / WEFT_S;
    printf("%-8s %-32s %8.1f %8.0f %7.1fx %7d", function, way->name, seconds * 1e3,
           (double)calls / seconds, (double)first_ns / (double)figures->took_ns,
           figures->most_asleep);
    if (way->shared)
        printf(" %9llu %11.1f", (unsigned long long)figures->gil.switches,
               (double)figures->gil.longest_wait_ns / WEFT_MS);
    printf("\n");
}

/* Returns 0, 1 when the ways do not agree, or a negative error. */
static int run_function_in_each_way(const char *function, const struct job *job)
{
    int64_t first_ns = 0;
    for (int i = 0; i < WAYS; i++) {
        struct figures figures = { 0 };
        lua_Integer *results = i == 0 ? job->expected : job->results;
        int rc = run_way(&ways[i], function, job, results, &figures);
        if (rc < 0)
            return rc;
        first_ns = i == 0 ? figures.took_ns : first_ns;
        print_row(function, &ways[i], job->calls, &figures, first_ns);
        if (memcmp(results, job->expected, job->calls * sizeof *results) != 0) {
            fprintf(stderr, "%s, %s: other results\n", function, ways[i].name);
            return 1;
        }
    }
    return 0;
}

static int run(struct job *job)
{
    job->meter = weft_shared_alloc(sizeof *job->meter);
    job->expected = calloc(2 * job->calls, sizeof *job->expected);
    job->results = job->expected + job->calls;
    int rc = job->meter && job->expected ? 0 : -ENOMEM;
    printf("%-8s %-32s %8s %8s %8s %7s %9s %11s\n", "script", "way", "wall ms", "calls/s",
           "speed-up", "asleep", "switches", "longest ms");
    if (rc == 0)
        rc = run_function_in_each_way("compute", job);
    if (rc == 0)
        rc = run_function_in_each_way("wait", job);
    free(job->expected);
    weft_shared_free(job->meter);
    return rc;
}

static bool parse(const char *text, long max, long *ret)
{
    char *end;
    *ret = strtol(text, &end, 10);
    return *end == '\0' && *ret >= 1 && *ret <= max;
}

int main(int argc, char **argv)
{
    long calls = 48, workers = 8;
    if (argc > 3 || (argc > 1 && !parse(argv[1], CALLS_MAX, &calls)) ||
        (argc > 2 && !parse(argv[2], WORKERS_MAX, &workers))) {
        fprintf(stderr, "Usage: %s [CALLS [WORKERS]]\n", argv[0]);
        return 2;
    }
    struct job job = { .calls = (size_t)calls, .workers = (uint32_t)workers };
    int rc = weft_init();
    if (rc == 0)
        rc = run(&job);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", argv[0], weft_strerror(rc));
    if (rc == 0)
        printf("The results are the same in each way.\n");
    return rc != 0;
}
