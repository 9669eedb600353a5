/* SPDX-License-Identifier: MIT */
/* From libcurl's hundred codes to a dozen kinds of failure, and to a sentence that names the cause
 * rather than the function that met it. */
#include "worker.h"

#include "values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const names[] = {
    [FAILURE_NONE] = "none",       [FAILURE_URL] = "url",     [FAILURE_DNS] = "dns",
    [FAILURE_CONNECT] = "connect", [FAILURE_TLS] = "tls",     [FAILURE_TIMEOUT] = "timeout",
    [FAILURE_DROPPED] = "dropped", [FAILURE_HTTP] = "http",   [FAILURE_REDIRECT] = "redirect",
    [FAILURE_SIZE] = "size",       [FAILURE_SAVE] = "save",   [FAILURE_WORKER] = "worker",
    [FAILURE_STOPPED] = "stopped", [FAILURE_OTHER] = "other",
};

const char *failure_name(enum failure failure)
{
    return failure < sizeof names / sizeof names[0] ? names[failure] : "other";
}

static long long_info(CURL *easy, CURLINFO info)
{
    long value = 0;

    curl_easy_getinfo(easy, info, &value);
    return value;
}

static curl_off_t offset_info(CURL *easy, CURLINFO info)
{
    curl_off_t value = 0;

    curl_easy_getinfo(easy, info, &value);
    return value;
}

/* libcurl's own words for what has none here; its short text if it left no long one. */
static const char *detail(const struct worker *worker, CURLcode code)
{
    return worker->libcurl_says[0] != '\0' ? worker->libcurl_says : curl_easy_strerror(code);
}

/* "PREFIX: Connection refused", from the system's error where libcurl kept it. */
static void because(const struct worker *worker, CURLcode code, const char *prefix, char *reason)
{
    long error = long_info(worker->easy, CURLINFO_OS_ERRNO);

    snprintf(reason, REASON_MAX, "%s: %s", prefix,
             error > 0 ? strerror((int)error) : detail(worker, code));
}

static void say_timeout(int64_t ns, const char *what, char *reason)
{
    char text[VALUE_TEXT_MAX];

    value_duration_format(text, sizeof text, ns);
    snprintf(reason, REASON_MAX, "%s %s", what, text);
}

/* libcurl's own time-out is that of the connection; the attempt's is weft's deadline. */
static enum failure timed_out(const struct worker *worker, bool connecting, char *reason)
{
    const struct plan *plan = worker->plan;

    if (connecting && plan->connect_timeout_ns > 0)
        say_timeout(plan->connect_timeout_ns, "no connection within", reason);
    else if (plan->timeout_ns > 0)
        say_timeout(plan->timeout_ns, "not finished within", reason);
    else
        snprintf(reason, REASON_MAX, "timed out");
    return FAILURE_TIMEOUT;
}

static enum failure too_large(const struct worker *worker, char *reason)
{
    char text[VALUE_TEXT_MAX];

    value_size_format(text, sizeof text, worker->plan->body_bytes_max);
    snprintf(reason, REASON_MAX, "the body is larger than %s bytes", text);
    return FAILURE_SIZE;
}

static enum failure partial(const struct worker *worker, char *reason)
{
    curl_off_t length = offset_info(worker->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T);

    if (length > 0)
        snprintf(reason, REASON_MAX,
                 "the connection was closed after %" PRIu64 " of %" CURL_FORMAT_CURL_OFF_T " bytes",
                 worker->body_bytes, length);
    else
        snprintf(reason, REASON_MAX, "the connection was closed within the body");
    return FAILURE_DROPPED;
}

/* The last answer was a redirect, so what went wrong is where it leads. */
static bool redirected(const struct worker *worker)
{
    return long_info(worker->easy, CURLINFO_RESPONSE_CODE) / 100 == 3;
}

static enum failure bad_url(const struct worker *worker, CURLcode code, char *reason)
{
    bool later = redirected(worker);

    snprintf(reason, REASON_MAX, "%s: %s", later ? "redirected to what is not a URL" : "not a URL",
             detail(worker, code));
    return later ? FAILURE_REDIRECT : FAILURE_URL;
}

/* libcurl calls a protocol unsupported that it will not speak, and one that a server speaks. */
static enum failure bad_protocol(const struct worker *worker, CURLcode code, char *reason)
{
    const char *url = NULL;

    curl_easy_getinfo(worker->easy, CURLINFO_EFFECTIVE_URL, &url);
    if (url != NULL && strncasecmp(url, "http", 4) == 0) {
        snprintf(reason, REASON_MAX, "the answer is not HTTP: %s", detail(worker, code));
        return FAILURE_OTHER;
    }
    snprintf(reason, REASON_MAX, "redirected to what is not http or https: %s",
             detail(worker, code));
    return FAILURE_REDIRECT;
}

static enum failure by_code(const struct worker *worker, CURLcode code, char *reason)
{
    switch (code) {
    case CURLE_URL_MALFORMAT:
        return bad_url(worker, code, reason);
    case CURLE_UNSUPPORTED_PROTOCOL:
        return bad_protocol(worker, code, reason);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        snprintf(reason, REASON_MAX, "could not find the host: %s", detail(worker, code));
        return FAILURE_DNS;
    case CURLE_COULDNT_CONNECT:
        because(worker, code, "could not connect", reason);
        return FAILURE_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return timed_out(worker, true, reason);
    case CURLE_GOT_NOTHING:
        snprintf(reason, REASON_MAX, "the connection was closed without an answer");
        return FAILURE_DROPPED;
    case CURLE_PARTIAL_FILE:
        return partial(worker, reason);
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        because(worker, code, "the connection was lost", reason);
        return FAILURE_DROPPED;
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        snprintf(reason, REASON_MAX, "the connection was lost: %s", detail(worker, code));
        return FAILURE_DROPPED;
    case CURLE_TOO_MANY_REDIRECTS:
        snprintf(reason, REASON_MAX, "more than %" PRIu64 " redirects",
                 worker->plan->redirects_max);
        return FAILURE_REDIRECT;
    case CURLE_FILESIZE_EXCEEDED:
        return too_large(worker, reason);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        snprintf(reason, REASON_MAX, "no secure connection: %s", detail(worker, code));
        return FAILURE_TLS;
    default:
        snprintf(reason, REASON_MAX, "%s", detail(worker, code));
        return FAILURE_OTHER;
    }
}

enum failure classify(const struct worker *worker, int rc, CURLcode code, char *reason)
{
    long status = long_info(worker->easy, CURLINFO_RESPONSE_CODE);

    reason[0] = '\0';
    if (rc == -ETIMEDOUT)
        return timed_out(worker, false, reason);
    if (rc == -ECANCELED) {
        snprintf(reason, REASON_MAX, "stopped");
        return FAILURE_STOPPED;
    }
    if (rc < 0) {
        snprintf(reason, REASON_MAX, "%s", weft_strerror(rc));
        return FAILURE_OTHER;
    }
    if (worker->save_error < 0) {
        snprintf(reason, REASON_MAX, "could not save the body: %s", strerror(-worker->save_error));
        return FAILURE_SAVE;
    }
    /* The server has said no; how its explanation ended does not matter. But a redirection that
       was followed has a status of its own, so one that led nowhere is told by its code. */
    if (status >= 400) {
        snprintf(reason, REASON_MAX, "status %ld", status);
        return FAILURE_HTTP;
    }
    if (worker->too_large)
        return too_large(worker, reason);
    return code == CURLE_OK ? FAILURE_NONE : by_code(worker, code, reason);
}
