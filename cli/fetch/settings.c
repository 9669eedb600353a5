/* SPDX-License-Identifier: MIT */
/* The command line of `weft fetch`: the table, and what a table cannot check. */
#include "settings.h"

#include "descriptors.h"
#include "input.h"
#include "saver.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORKERS_PRESET = 20, WORKERS_MAX = 4096, PROCESSES_MAX = 256 };

static const char *const kinds[] = { "auto", "serial", "threads", "tasks", "processes", NULL };

/* What the options write to, before it is checked. */
struct raw {
    int kind;
    uint64_t workers;   /* 0: not given */
    uint64_t processes; /* 0: not given */
    const char *directory;
    const char *ca_file;
};

static const char more[] =
    "One line per URL as it ends: on stdout if it was fetched, on stderr if not (with\n"
    "--json all on stdout). A status of 400 or more is a failure. Files of URLs have\n"
    "one per line; blank lines and lines that begin with # are skipped.\n"
    "Tried again: no connection, a connection that is lost, time-outs, and the\n"
    "statuses 408, 425, 429, 500, 502, 503 and 504.\n"
    "\n"
    "Examples:\n"
    "  weft fetch https://example.com/\n"
    "  weft fetch -k processes -j 200 -i urls.txt -o pages\n"
    "  weft fetch -k tasks -j 2000 -i urls.txt\n"
    "  grep -o 'https://[^\"]*' index.html | weft fetch -i - --json | jq .status\n"
    "\n"
    "Ctrl-C finishes what is running and says what was not started; a second one\n"
    "stops at once.\n"
    "\n"
    "Exit codes: 0 all fetched, 1 some failed, 2 wrong usage, 130 interrupted.\n";

static void preset(struct settings *s, struct raw *raw)
{
    *s = (struct settings){
        .retries = 2,
        .backoff_ns = 500 * WEFT_MS,
        .retry_after_max_ns = 60 * WEFT_S,
        .plan = { .timeout_ns = 60 * WEFT_S,
                  .connect_timeout_ns = 10 * WEFT_S,
                  .body_bytes_max = UINT64_C(1) << 30,
                  .redirects_max = 10,
                  .directory_fd = -1 },
    };
    *raw = (struct raw){ .kind = 0 };
}

static bool readable(const struct options *options, const char *path)
{
    struct stat info;

    if (strcmp(path, "-") == 0)
        return true;
    if (access(path, R_OK) < 0)
        options_complain(options, "-i %s: %s", path, strerror(errno));
    else if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        options_complain(options, "-i %s: %s", path, strerror(EISDIR));
    else
        return true;
    return false;
}

static bool check_inputs(const struct options *options, const struct settings *s)
{
    size_t stdins = 0;

    for (size_t i = 0; i < s->inputs.count; i++) {
        if (!readable(options, s->inputs.items[i]))
            return false;
        stdins += strcmp(s->inputs.items[i], "-") == 0;
    }
    if (stdins > 1)
        options_complain(options, "-i -: standard input can be read only once");
    return stdins <= 1;
}

static bool check_urls(const struct options *options, const struct settings *s)
{
    if (s->urls_count == 0 && s->inputs.count == 0) {
        options_complain(options, "no URLs: give some, or -i FILE");
        return false;
    }
    for (size_t i = 0; i < s->urls_count; i++) {
        const char *wrong = url_complaint(s->urls[i], strlen(s->urls[i]));
        if (wrong != NULL) {
            options_complain(options, "'%.100s' is not a URL: %s", s->urls[i], wrong);
            return false;
        }
    }
    return true;
}

/* Those that this process may use. */
static uint64_t cpus(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) == 0 ? (uint64_t)CPU_COUNT(&set)
                                                       : (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
}

static bool check_processes(const struct options *options, struct settings *s,
                            const struct raw *raw)
{
    if (s->kind != WEFT_PROCESSES) {
        if (raw->processes != 0)
            options_complain(options, "--processes %" PRIu64 ": only with -k processes",
                             raw->processes);
        return raw->processes == 0;
    }
    s->processes = raw->processes != 0 ? raw->processes : cpus();
    if (s->processes > s->workers)
        s->processes = s->workers;
    return true;
}

static bool check_workers(const struct options *options, struct settings *s, const struct raw *raw)
{
    int rc = weft_kind_parse(kinds[raw->kind], &s->kind);
    bool serial = s->kind == WEFT_SERIAL;

    if (rc < 0) {
        options_complain(options, "-k %s: %s", kinds[raw->kind], weft_strerror(rc));
        return false;
    }
    if (serial && raw->workers > 1) {
        options_complain(options, "-j %llu: -k serial fetches one at a time",
                         (unsigned long long)raw->workers);
        return false;
    }
    s->workers = raw->workers;
    if (s->workers == 0 && s->kind != WEFT_AUTO)
        s->workers = serial ? 1 : WORKERS_PRESET;
    return check_processes(options, s, raw);
}

uint64_t settings_share(const struct settings *settings)
{
    uint64_t processes = settings->processes > 0 ? settings->processes : 1;

    return (settings->workers + processes - 1) / processes;
}

/* What each worker has open in its process: its connection; a thread also what libcurl wakes it
 * by; and the file, if bodies are saved. */
static uint64_t descriptors_each(const struct settings *s, bool saves)
{
    uint64_t saving = saves ? 1 : 0;

    switch (s->kind) {
    case WEFT_AUTO:
    case WEFT_THREADS:
        return 2 + saving;
    case WEFT_TASKS:
    case WEFT_PROCESSES: /* there they are tasks, too */
        return 1 + saving;
    default:
        return 0;
    }
}

/* Of kind auto there need not be more workers than it begins with: more are made if they can be. */
static uint64_t least_workers(const struct settings *s)
{
    bool fewer = s->kind == WEFT_AUTO && (s->workers == 0 || s->workers > cpus());

    return fewer ? cpus() : settings_share(s);
}

static bool check_descriptors(const struct options *options, const struct settings *s, bool saves)
{
    uint64_t limit = descriptors_raise();
    uint64_t workers = least_workers(s);
    uint64_t needed = descriptors_needed(workers, descriptors_each(s, saves));

    if (needed <= limit)
        return true;
    options_complain(options,
                     "-j %" PRIu64 ": needs %" PRIu64 " file descriptors at least, and the system "
                     "allows %" PRIu64 " (ulimit -Hn)",
                     s->workers != 0 ? s->workers : workers, needed, limit);
    return false;
}

/* Makes a path absolute: workers need not share the working directory. */
static bool resolve(const struct options *options, const char *option, const char *path, char *ret)
{
    if (realpath(path, ret) != NULL)
        return true;
    options_complain(options, "%s %s: %s", option, path, strerror(errno));
    return false;
}

/* Whether files can be made there is tried: permissions do not tell all of it. */
static int open_directory(struct settings *s)
{
    struct saver saver;

    s->plan.directory_fd = open(s->plan.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->plan.directory_fd < 0)
        return -errno;
    saver_init(&saver, s->plan.directory_fd);
    int rc = saver_begin(&saver, s->plan.run, UINT64_MAX);
    saver_discard(&saver);
    return rc;
}

static bool check_directory(const struct options *options, struct settings *s, const char *path)
{
    if (path == NULL)
        return true;
    if (mkdir(path, 0777) < 0 && errno != EEXIST) {
        options_complain(options, "-o %s: cannot be made: %s", path, strerror(errno));
        return false;
    }
    if (!resolve(options, "-o", path, s->plan.directory))
        return false;
    int rc = open_directory(s);
    if (rc < 0)
        options_complain(options, "-o %s: %s", path, strerror(-rc));
    return rc == 0;
}

static bool check_ca_file(const struct options *options, struct settings *s, const char *path)
{
    if (path == NULL)
        return true;
    if (access(path, R_OK) == 0)
        return resolve(options, "--cacert", path, s->plan.ca_file);
    options_complain(options, "--cacert %s: %s", path, strerror(errno));
    return false;
}

/* Nothing is made (a directory) before all that can be refused has been. */
static bool check(const struct options *options, struct settings *s, const struct raw *raw)
{
    if (getrandom(&s->plan.run, sizeof s->plan.run, GRND_NONBLOCK) != sizeof s->plan.run)
        s->plan.run = (uint64_t)weft_now() ^ (uint64_t)getpid() << 40;
    s->plan.timed = s->json;
    return check_workers(options, s, raw) &&
           check_descriptors(options, s, raw->directory != NULL) && check_urls(options, s) &&
           check_inputs(options, s) && check_ca_file(options, s, raw->ca_file) &&
           check_directory(options, s, raw->directory);
}

#define COUNT(field) OPTION_COUNT, .to.count = &(field)
#define TIME(field)  OPTION_DURATION, .to.ns = &(field), .max = INT64_MAX / 2

enum options_result settings_parse(int argc, char **argv, struct settings *s)
{
    struct raw raw;
    const struct option_spec specs[] = {
        { 'k', "kind", "KIND",
          "what the workers are: serial, threads, tasks or processes; auto: as many threads as "
          "measuring says",
          OPTION_CHOICE, .to.choice = &raw.kind, .choices = kinds },
        { 'j', "jobs", "N",
          "how many fetch at once, with -k auto at most; if not given 20, with -k serial 1, with "
          "-k auto as many as are of use",
          OPTION_COUNT, .to.count = &raw.workers, .min = 1, .max = WORKERS_MAX },
        { 0, "processes", "N",
          "with -k processes: in how many; as many as there are CPUs if not given", OPTION_COUNT,
          .to.count = &raw.processes, .min = 1, .max = PROCESSES_MAX },
        { 'i', "input", "FILE", "read URLs from FILE, one per line; -: standard input; repeatable",
          OPTION_LIST, .to.list = &s->inputs },
        { 'o', "output", "DIR", "save bodies in DIR, which is made if it is missing", OPTION_STRING,
          .to.text = &raw.directory },
        { 0, "json", NULL, "print one JSON object per line, for failures too", OPTION_FLAG,
          .to.flag = &s->json },
        { 'q', "quiet", NULL, "no progress, no summary", OPTION_FLAG, .to.flag = &s->quiet },
        { 0, "retries", "N", "how often a URL is tried again", COUNT(s->retries), .max = 100 },
        { 0, "backoff", "TIME", "wait before the first retry; doubled each time, up to 30s",
          TIME(s->backoff_ns) },
        { 0, "retry-after-max", "TIME", "longest wait that a server may ask for with Retry-After",
          TIME(s->retry_after_max_ns) },
        { 0, "connect-timeout", "TIME", "longest time to connect; 0: 5 minutes",
          TIME(s->plan.connect_timeout_ns) },
        { 0, "timeout", "TIME", "longest time for each attempt at a URL; 0: no limit",
          TIME(s->plan.timeout_ns) },
        { 0, "max-bytes", "SIZE", "largest body; 0: no limit", OPTION_SIZE,
          .to.bytes = &s->plan.body_bytes_max, .max = INT64_MAX },
        { 0, "max-redirects", "N", "how many redirects are followed; 0: none",
          COUNT(s->plan.redirects_max), .max = SETTINGS_REDIRECTS_MAX },
        { 0, "cacert", "FILE", "trust these certificates instead of the system's", OPTION_STRING,
          .to.text = &raw.ca_file },
    };
    const struct options options = {
        .command = "weft fetch",
        .synopsis = "[OPTION]... [URL]...",
        .about = "Fetches URLs, many at once, by HTTP and HTTPS.",
        .more = more,
        .specs = specs,
        .count = sizeof specs / sizeof specs[0],
    };
    int first;

    preset(s, &raw);
    enum options_result parsed = options_parse(&options, argc, argv, &first);
    if (parsed == OPTIONS_RUN) {
        s->urls = argv + first;
        s->urls_count = (size_t)(argc - first);
        if (!check(&options, s, &raw))
            parsed = OPTIONS_WRONG;
    }
    if (parsed != OPTIONS_RUN)
        settings_release(s);
    return parsed;
}

void settings_release(struct settings *settings)
{
    if (settings->plan.directory_fd >= 0)
        close(settings->plan.directory_fd);
    settings->plan.directory_fd = -1;
    option_list_release(&settings->inputs);
}
