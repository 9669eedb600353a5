/* SPDX-License-Identifier: MIT */
/* One attempt at one URL, in any kind of worker.
 *
 * A worker keeps one easy handle, whose options are set once: for the next URL only the URL
 * changes, and libcurl finds the connection that the last one left. Options are not reset, so
 * nothing here may set one for a single attempt.
 *
 * The attempt's deadline and the user's Ctrl-C are weft's (weft_curl_perform); the limit on the
 * connection's time is libcurl's. A body's length is checked where it is announced, by libcurl, and
 * again as it comes, since an answer in chunks announces nothing. */
#include "worker.h"

#include <weft/curl.h>

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

const char *result_reason(const struct result *result)
{
    return result->strings;
}

const char *result_final_url(const struct result *result)
{
    return result->strings + result->reason_bytes;
}

const char *result_file(const struct result *result)
{
    return result->strings + result->reason_bytes + result->final_url_bytes;
}

/* The body of an error page is received, for the connection's sake, but not saved. */
static int judge(struct worker *worker)
{
    long status = 0;

    worker->judged = true;
    curl_easy_getinfo(worker->easy, CURLINFO_RESPONSE_CODE, &status);
    worker->keep = worker->saver.directory >= 0 && status < 400;
    return worker->keep ? saver_begin(&worker->saver, worker->plan->run, worker->task->number) : 0;
}

/* Called by libcurl for each piece of a body. Anything but `size` ends the transfer. */
static size_t on_body(char *data, size_t one, size_t size, void *ctx)
{
    struct worker *worker = ctx;
    uint64_t most = worker->plan->body_bytes_max;

    (void)one;
    worker->body_bytes += size;
    if (most > 0 && worker->body_bytes > most) {
        worker->too_large = true;
        return 0;
    }
    if (!worker->judged)
        worker->save_error = judge(worker);
    if (worker->save_error == 0 && worker->keep)
        worker->save_error = saver_write(&worker->saver, data, size);
    return worker->save_error == 0 ? size : 0;
}

static long milliseconds(int64_t ns)
{
    return (long)((ns + WEFT_MS - 1) / WEFT_MS);
}

/* libcurl asks the environment for a proxy six times per transfer. Where it names none, saying so
 * once saves a noticeable part of a small transfer's time. */
static bool environment_names_proxy(void)
{
    static const char *const names[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                         "ALL_PROXY" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i]) != NULL)
            return true;
    return false;
}

/* What one read of a body can bring. libcurl's own 16 KiB make large bodies a fifth more costly; a
 * buffer is memory only as far as it was ever filled. */
#define BUFFER_BYTES (64 * 1024L)

static void set_options(struct worker *worker, const struct plan *plan)
{
    CURL *easy = worker->easy;

    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, plan->redirects_max > 0 ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)plan->redirects_max);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "weft/" WEFT_TOOL_VERSION);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(plan->connect_timeout_ns));
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)plan->body_bytes_max);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, worker);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, worker->libcurl_says);
    if (!environment_names_proxy()) {
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    }
    if (plan->ca_file[0] != '\0')
        curl_easy_setopt(easy, CURLOPT_CAINFO, plan->ca_file);
}

int worker_open(struct worker **ret_worker, const struct plan *plan)
{
    struct worker *worker = calloc(1, sizeof *worker);

    if (worker == NULL)
        return -ENOMEM;
    signal(SIGPIPE, SIG_IGN); /* TLS writes to connections that may be gone; a process's own */
    worker->plan = plan;
    saver_init(&worker->saver, plan->directory_fd);
    int rc = weft_curl_init();
    worker->easy = rc == 0 ? curl_easy_init() : NULL;
    if (worker->easy == NULL) {
        free(worker);
        return rc < 0 ? rc : -ENOMEM;
    }
    set_options(worker, plan);
    *ret_worker = worker;
    return 0;
}

void worker_close(struct worker *worker)
{
    curl_easy_cleanup(worker->easy);
    saver_discard(&worker->saver);
    free(worker);
}

/* A handle never forgets the system's last error, which would be taken for the reason of a later
 * failure that has none. Its connections are not lost with it: they belong to the thread. */
static void forget_error(struct worker *worker)
{
    long error = 0;

    curl_easy_getinfo(worker->easy, CURLINFO_OS_ERRNO, &error);
    CURL *fresh = error != 0 ? curl_easy_init() : NULL;
    if (fresh == NULL)
        return;
    curl_easy_cleanup(worker->easy);
    worker->easy = fresh;
    set_options(worker, worker->plan);
}

static void begin(struct worker *worker, const struct task *task)
{
    forget_error(worker);
    worker->task = task;
    worker->body_bytes = 0;
    worker->judged = false;
    worker->keep = false;
    worker->too_large = false;
    worker->save_error = 0;
    worker->libcurl_says[0] = '\0';
}

static int64_t micros(CURL *easy, CURLINFO info)
{
    curl_off_t us = 0;

    curl_easy_getinfo(easy, info, &us);
    return us;
}

static struct phases phases_of(CURL *easy)
{
    return (struct phases){
        .dns_us = micros(easy, CURLINFO_NAMELOOKUP_TIME_T),
        .connect_us = micros(easy, CURLINFO_CONNECT_TIME_T),
        .tls_us = micros(easy, CURLINFO_APPCONNECT_TIME_T),
        .first_byte_us = micros(easy, CURLINFO_STARTTRANSFER_TIME_T),
        .total_us = micros(easy, CURLINFO_TOTAL_TIME_T),
    };
}

static void measure(CURL *easy, bool timed, struct result *result)
{
    long status = 0;
    long connects = 0;
    curl_off_t retry_after = 0;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after);
    result->status = (int32_t)status;
    result->reused = status != 0 && connects == 0;
    result->retry_after_s = retry_after;
    if (timed)
        result->phases = phases_of(easy);
}

/* An empty body was never seen by on_body(), but its file is due all the same. */
static int save(struct worker *worker, char *name)
{
    int rc = worker->judged ? 0 : judge(worker);

    if (rc < 0 || !worker->keep)
        return rc;
    saver_name(worker->task->url, name);
    return saver_commit(&worker->saver, name);
}

static const char *final_url(CURL *easy)
{
    long redirects = 0;
    const char *url = NULL;

    curl_easy_getinfo(easy, CURLINFO_REDIRECT_COUNT, &redirects);
    if (redirects > 0)
        curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url);
    return url != NULL ? url : "";
}

void worker_attempt(struct worker *worker, const struct task *task, struct attempt *ret)
{
    int64_t timeout_ns = worker->plan->timeout_ns;
    struct result *result = &ret->result;
    CURLcode code = CURLE_OK;

    begin(worker, task);
    memset(result, 0, sizeof *result);
    ret->file[0] = '\0';
    curl_easy_setopt(worker->easy, CURLOPT_URL, &task->url[0]);
    int rc = weft_curl_perform(worker->easy, &code,
                               timeout_ns > 0 ? weft_after(timeout_ns) : WEFT_FOREVER);
    result->failure = classify(worker, rc, code, ret->reason);
    if (result->failure == FAILURE_NONE && (worker->save_error = save(worker, ret->file)) < 0)
        result->failure = classify(worker, rc, code, ret->reason);
    if (result->failure != FAILURE_NONE) {
        saver_discard(&worker->saver);
        ret->file[0] = '\0';
    }
    measure(worker->easy, worker->plan->timed, result);
    result->body_bytes = worker->body_bytes;
    ret->final_url = final_url(worker->easy);
}

size_t attempt_bytes(struct attempt *attempt)
{
    struct result *result = &attempt->result;

    result->reason_bytes = (uint32_t)strlen(attempt->reason) + 1;
    result->final_url_bytes = (uint32_t)strlen(attempt->final_url) + 1;
    result->file_bytes = (uint32_t)strlen(attempt->file) + 1;
    return offsetof(struct result, strings) + result->reason_bytes + result->final_url_bytes +
           result->file_bytes;
}

void attempt_pack(const struct attempt *attempt, void *bytes)
{
    const struct result *result = &attempt->result;
    char *at = mempcpy(bytes, result, offsetof(struct result, strings));

    at = mempcpy(at, attempt->reason, result->reason_bytes);
    at = mempcpy(at, attempt->final_url, result->final_url_bytes);
    memcpy(at, attempt->file, result->file_bytes);
}

int transfer_enter(weft_call *call, void **ret_worker)
{
    struct worker *worker;
    int rc = worker_open(&worker, call->context);

    if (rc == 0)
        *ret_worker = worker;
    return rc;
}

void transfer_leave(void *worker)
{
    worker_close(worker);
}

int transfer(weft_call *call)
{
    struct attempt attempt;
    char small[512];

    worker_attempt(call->worker, call->arg, &attempt);
    size_t size = attempt_bytes(&attempt);
    char *bytes = size <= sizeof small ? small : malloc(size);
    if (bytes == NULL)
        return -ENOMEM;
    attempt_pack(&attempt, bytes);
    int rc = weft_call_return(call, bytes, size);
    if (bytes != small)
        free(bytes);
    return rc < 0 ? rc : (attempt.result.failure == FAILURE_STOPPED ? -ECANCELED : 0);
}
