/* SPDX-License-Identifier: MIT */
/*
 * Introduces enter and leave: an interpreter for each worker, so that Python uses every core.
 *
 *     14_python_pool [CALLS [WORKERS [FILE]]]
 *
 * CPython has a global interpreter lock: of the threads that share an interpreter one runs at a
 * time, so for work that computes they gain nothing. A worker process has an interpreter of its
 * own, which enter starts before the first call and leave ends after the last. (The processes are
 * forked from a helper that weft_init() made before there was any Python, so that it does not
 * matter what the interpreter of the program itself is doing at that time.)
 *
 * Called is work(n), for n from 0 to CALLS - 1, which returns bytes: the few lines of Python below,
 * or what FILE defines. It runs in one thread, in threads that share the program's interpreter, and
 * in processes; a table shows what each takes. An exception that work() raises is the words of its
 * call's outcome.
 *
 * Exit codes: 0: all calls gave a result, and the same in each way; 1: not so; 2: called wrongly.
 */
#include <Python.h> /* wants to be the first */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

enum { CALLS_MAX = 1000000, WORKERS_MAX = 4096, SOURCE_BYTES_MAX = 1 << 20, WAYS = 3 };

static const char count_primes[] =
    "def work(n):\n"
    "    first = 4000 * n\n"
    "    found = 0\n"
    "    for number in range(first, first + 4000):\n"
    "        divisor = 2\n"
    "        while divisor * divisor <= number and number % divisor:\n"
    "            divisor += 1\n"
    "        found += number > 1 and divisor * divisor > number\n"
    "    return b'%d primes from %d to %d' % (found, first, first + 3999)\n";

/* A running interpreter. There is at most one in a process. */
struct python {
    PyObject *work;
    PyThreadState *thread; /* that of the thread which started it */
};

/* Writes down the exception that is set, and clears it. */
static int exception(char *text, size_t size)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    PyObject *words = value ? PyObject_Str(value) : NULL;
    const char *utf8 = words ? PyUnicode_AsUTF8(words) : NULL;
    snprintf(text, size, "%s: %s", type ? ((PyTypeObject *)type)->tp_name : "no exception",
             utf8 ? utf8 : "(without words)");
    PyErr_Clear(); /* one that came up here */
    Py_XDECREF(words);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return -EINVAL;
}

/* Isolated: neither the environment nor signals are its business. By the name of this program it
   finds the modules of the Python that it was built with, not those of a python3 on the path. */
static int start_interpreter(char *text, size_t size)
{
    PyConfig config;
    PyConfig_InitIsolatedConfig(&config);
    config.site_import = 0;
    PyStatus status =
        PyConfig_SetBytesString(&config, &config.program_name, program_invocation_name);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (!PyStatus_Exception(status))
        return 0;
    snprintf(text, size, "Python does not start: %s", status.err_msg ? status.err_msg : "");
    return -EIO;
}

/* Runs the source as a module, and finds work() in it. */
static int load(struct python *python, const char *source, char *text, size_t size)
{
    PyObject *code = Py_CompileString(source, "work.py", Py_file_input);
    PyObject *module = code ? PyImport_ExecCodeModule("work", code) : NULL;
    python->work = module ? PyObject_GetAttrString(module, "work") : NULL;
    Py_XDECREF(module);
    Py_XDECREF(code);
    return python->work ? 0 : exception(text, size);
}

static void stop_python(struct python *python)
{
    PyEval_RestoreThread(python->thread);
    Py_XDECREF(python->work);
    Py_FinalizeEx();
}

/* Leaves Python's lock free: each call takes it. */
static int start_python(struct python *python, const char *source, char *text, size_t size)
{
    int rc = start_interpreter(text, size);
    if (rc < 0)
        return rc;
    rc = load(python, source, text, size);
    python->thread = PyEval_SaveThread();
    if (rc < 0)
        stop_python(python);
    return rc;
}

/* ---- What workers do */

static int enter_own(weft_call *call, void **ret_worker)
{
    char text[160];
    struct python *python = calloc(1, sizeof *python);
    if (!python)
        return -ENOMEM;
    int rc = start_python(python, call->context, text, sizeof text);
    if (rc < 0) {
        free(python);
        return weft_call_fail(call, rc, "%s", text);
    }
    *ret_worker = python;
    return 0;
}

static void leave_own(void *worker)
{
    stop_python(worker);
    free(worker);
}

static int enter_shared(weft_call *call, void **ret_worker)
{
    *ret_worker = call->context;
    return 0;
}

/* With Python's lock. */
static int call_work(weft_call *call, PyObject *work)
{
    char text[160], *bytes;
    Py_ssize_t size;
    int rc;
    PyObject *result = PyObject_CallFunction(work, "K", (unsigned long long)call->index);
    if (result && PyBytes_AsStringAndSize(result, &bytes, &size) == 0)
        rc = weft_call_return(call, bytes, (size_t)size);
    else
        rc = weft_call_fail(call, exception(text, sizeof text), "%s", text);
    Py_XDECREF(result);
    return rc;
}

static int run_work(weft_call *call)
{
    struct python *python = call->worker;
    PyGILState_STATE state = PyGILState_Ensure();
    int rc = call_work(call, python->work);
    PyGILState_Release(state);
    return rc;
}

/* ---- The ways, and what came of each */

struct way {
    const char *name;
    weft_kind kind;
    weft_bytes *results;
    weft_outcome *outcomes;
    int64_t took_ns;
};

struct job {
    const char *name, *source; /* of the Python */
    size_t calls;
    uint32_t workers;
};

/* python: the program's own interpreter, for kinds that live in this process. */
static int run_way(struct way *way, const struct job *job, struct python *python)
{
    weft_options options = { .workers = job->workers };
    if (way->kind == WEFT_PROCESSES) {
        options.enter = enter_own;
        options.leave = leave_own;
        options.context = job->source;
        options.context_bytes = WEFT_STRING;
    } else {
        options.enter = enter_shared;
        options.context = python;
        options.context_bytes = WEFT_POINTER;
    }
    weft_map map = { .count = job->calls,
                     .out = way->results,
                     .out_bytes = WEFT_BYTES,
                     .outcomes = way->outcomes,
                     .on_failure = WEFT_GO_ON };
    weft_pool *pool;
    int64_t began = weft_now();
    int rc = weft_pool_open(&pool, way->kind, &options);
    if (rc < 0)
        return rc;
    rc = weft_pool_map(pool, run_work, &map, WEFT_FOREVER);
    way->took_ns = weft_now() - began; /* with the start of the workers */
    weft_pool_close(pool);
    return rc == -ECHILD ? 0 : rc; /* the outcomes say which */
}

/* Returns 0, 1 when the program's interpreter does not run the source, or a negative error. */
static int run_ways(struct way ways[WAYS], const struct job *job)
{
    char text[160];
    struct python python = { NULL, NULL };
    int rc = start_python(&python, job->source, text, sizeof text);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", job->name, text);
        return 1;
    }
    for (int i = 0; rc == 0 && i < WAYS; i++)
        rc = run_way(&ways[i], job, &python);
    stop_python(&python);
    return rc;
}

static void print_table(const struct way ways[WAYS], const struct job *job)
{
    printf("%-34s %10s %10s %10s\n", "way", "wall ms", "calls/s", "speed-up");
    for (int i = 0; i < WAYS; i++) {
        double seconds = (double)ways[i].took_ns / WEFT_S;
        printf("%-34s %10.1f %10.0f %9.1fx\n", ways[i].name, seconds * 1e3,
               (double)job->calls / seconds, (double)ways[0].took_ns / (double)ways[i].took_ns);
    }
}

static bool same(const struct way *a, const struct way *b, size_t i)
{
    size_t size = a->results[i].size;
    return size == b->results[i].size &&
           (size == 0 || memcmp(a->results[i].data, b->results[i].data, size) == 0) &&
           strcmp(a->outcomes[i].text, b->outcomes[i].text) == 0;
}

/* Says what failed and what differs. Returns how many calls did. */
static size_t compare(const struct way ways[WAYS], size_t calls)
{
    size_t bad = 0;
    for (size_t i = 0; i < calls; i++) {
        bool differs = !same(&ways[0], &ways[1], i) || !same(&ways[0], &ways[2], i);
        bad += differs || ways[0].outcomes[i].how != WEFT_DONE;
        if (differs)
            fprintf(stderr, "work(%zu) is not the same in each way\n", i);
        for (int way = 0; way < (differs ? WAYS : 1); way++)
            if (ways[way].outcomes[i].how != WEFT_DONE)
                fprintf(stderr, "work(%zu), %s: %s: %s\n", i, ways[way].name,
                        weft_how_name(ways[way].outcomes[i].how), ways[way].outcomes[i].text);
    }
    return bad;
}

static int report(const struct way ways[WAYS], const struct job *job)
{
    const weft_bytes *last = &ways[0].results[job->calls - 1];
    size_t bad = compare(ways, job->calls);
    print_table(ways, job);
    printf("%zu of %zu calls gave a result, the same in each way", job->calls - bad, job->calls);
    if (bad == 0)
        printf("; the last: %.*s", (int)last->size, (const char *)last->data);
    printf("\n");
    return bad > 0;
}

/* ---- The program */

/* Returns 0, 1 when results are missing or differ, or a negative error. */
static int run(const struct job *job)
{
    struct way ways[WAYS] = { { .name = "one thread", .kind = WEFT_SERIAL },
                              { .name = "threads, one interpreter", .kind = WEFT_THREADS },
                              { .name = "processes, an interpreter each",
                                .kind = WEFT_PROCESSES } };
    weft_bytes *results = calloc(WAYS * job->calls, sizeof *results);
    weft_outcome *outcomes = calloc(WAYS * job->calls, sizeof *outcomes);
    int rc = results && outcomes ? 0 : -ENOMEM;
    for (int i = 0; rc == 0 && i < WAYS; i++) {
        ways[i].results = results + i * job->calls;
        ways[i].outcomes = outcomes + i * job->calls;
    }
    if (rc == 0)
        rc = run_ways(ways, job);
    if (rc == 0)
        rc = report(ways, job);
    weft_bytes_free(results, results ? WAYS * job->calls : 0);
    free(results);
    free(outcomes);
    return rc;
}

/* To be freed. NULL: errno says why. */
static char *read_source(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *source = file ? calloc(1, SOURCE_BYTES_MAX + 1) : NULL;
    size_t size = source ? fread(source, 1, SOURCE_BYTES_MAX + 1, file) : 0;
    if (source && (ferror(file) || size > SOURCE_BYTES_MAX)) {
        errno = ferror(file) ? errno : EFBIG;
        free(source);
        source = NULL;
    }
    if (file)
        fclose(file);
    return source;
}

static uint32_t cpus(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 2;
}

static bool parse(const char *text, long max, long *ret)
{
    char *end;
    *ret = strtol(text, &end, 10);
    return *end == '\0' && *ret >= 1 && *ret <= max;
}

int main(int argc, char **argv)
{
    long calls = 64, workers = cpus();
    if (argc > 4 || (argc > 1 && !parse(argv[1], CALLS_MAX, &calls)) ||
        (argc > 2 && !parse(argv[2], WORKERS_MAX, &workers))) {
        fprintf(stderr, "Usage: %s [CALLS [WORKERS [FILE]]]\n", argv[0]);
        return 2;
    }
    int rc = weft_init();
    char *source = argc > 3 ? read_source(argv[3]) : NULL;
    if (argc > 3 && !source) {
        fprintf(stderr, "%s: %s\n", argv[3], strerror(errno));
        return 2;
    }
    struct job job = { source ? argv[3] : argv[0], source ? source : count_primes, (size_t)calls,
                       (uint32_t)workers };
    if (rc == 0)
        rc = run(&job);
    free(source);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", argv[0], weft_strerror(rc));
    return rc != 0;
}
