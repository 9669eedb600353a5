/* SPDX-License-Identifier: MIT */
#include "site.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void become_site(int in, int out)
{
    const char *tool = getenv("WEFT_TOOL");

    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    close(in);
    close(out);
    if (tool != NULL)
        execl(tool, tool, "serve", "--port", "0", "--latency", "0", "--until-eof", (char *)NULL);
    _exit(127);
}

struct site site_start(void)
{
    struct site site;
    int in[2];
    int out[2];

    if (getenv("WEFT_TOOL") == NULL)
        SKIP("WEFT_TOOL does not name the tool");
    /* libcurl, and what it stands on, may keep descriptors for good. */
    EXPECT_EQ(weft_curl_init(), 0);
    DESCRIPTORS_MAY_STAY();
    EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    site.pid = fork();
    if (site.pid == 0)
        become_site(in[0], out[1]);
    EXPECT_GT(site.pid, 0);
    close(in[0]);
    close(out[1]);
    FILE *lines = fdopen(out[0], "r");
    EXPECT_EQ(fscanf(lines, "Serving %79s", site.url), 1);
    fclose(lines);
    site.stdin_end = in[1];
    return site;
}

void site_end(struct site *site)
{
    int status;

    close(site->stdin_end);
    EXPECT_EQ(waitpid(site->pid, &status, 0), site->pid);
    EXPECT_EQ(status, 0);
}

struct site site_of_one_worker(void)
{
    EXPECT_EQ(setenv("WEFT_WORKERS", "1", 1), 0);
    return site_start();
}

struct at_site {
    const struct site *site;
    void (*body)(const struct site *site);
};

static int run_body(weft_call *call)
{
    const struct at_site *at = call->arg;

    at->body(at->site);
    return 0;
}

void run_at_site(weft_kind kind, void (*body)(const struct site *site))
{
    struct site site = site_start();
    struct at_site at = { &site, body };
    weft_group *group;

    EXPECT_EQ(weft_group_open(&group, kind, NULL), 0);
    EXPECT_EQ(weft_group_start(group, run_body, &at, sizeof at), 0);
    EXPECT_EQ(weft_group_join(group, WEFT_FOREVER), 0);
    weft_group_close(group);
    site_end(&site);
}

size_t collect(char *data, size_t one, size_t n, void *ctx)
{
    struct text *text = ctx;

    (void)one;
    if (text->used + n >= sizeof text->bytes)
        return 0;
    memcpy(text->bytes + text->used, data, n);
    text->used += n;
    text->bytes[text->used] = '\0';
    return n;
}

size_t drop(const char *data, size_t one, size_t n, void *ctx)
{
    (void)data;
    (void)ctx;
    return one * n;
}

void aim(CURL *easy, const struct site *site, const char *path)
{
    char url[256];

    snprintf(url, sizeof url, "%s%s", site->url, path);
    curl_easy_setopt(easy, CURLOPT_URL, url);
}

CURL *easy_for(const struct site *site, const char *path)
{
    CURL *easy = curl_easy_init();

    EXPECT_TRUE(easy != NULL);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    aim(easy, site, path);
    return easy;
}

void expect_fetched(CURL *easy)
{
    CURLcode code = CURL_LAST;
    long status = 0;

    EXPECT_EQ(weft_curl_perform(easy, &code, WEFT_FOREVER), 0);
    EXPECT_EQ(code, CURLE_OK);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    EXPECT_EQ(status, 200);
}

long counter(const struct site *site, const char *name)
{
    struct text text = { .used = 0 };
    char quoted[40];
    CURL *easy = easy_for(site, "stats");

    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &text);
    expect_fetched(easy);
    curl_easy_cleanup(easy);
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    const char *found = strstr(text.bytes, quoted);
    EXPECT_TRUE(found != NULL);
    return strtol(found + strlen(quoted), NULL, 10);
}

int fetch(weft_call *call)
{
    CURL *easy = curl_easy_init();
    CURLcode code = CURLE_OK;

    if (easy == NULL)
        return -ENOMEM;
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(easy, CURLOPT_URL, (const char *)call->arg);
    int rc = weft_curl_perform(easy, &code, WEFT_FOREVER);
    curl_easy_cleanup(easy);
    return rc < 0 ? rc : (int)code;
}
