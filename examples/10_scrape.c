/* SPDX-License-Identifier: MIT */
/*
 * Introduces two kinds joined by a queue: pages are fetched in tasks and parsed in processes.
 *
 *     10_scrape URL...
 *
 * Fetching is waiting, for which tasks are cheap. Parsing computes, on what strangers wrote, by a
 * library that recurses as deep as they like: it gets processes, one per CPU. Pages go through a
 * queue, which holds the tasks up when the parsers do not keep up. Three things can happen next (a
 * page has come, a fetch has ended, a page is parsed), and weft_select() waits for all of them. A
 * page that kills its parser is told, and costs the other pages nothing.
 *
 * Exit codes: 0: all pages are told; 1: some could not be fetched, or killed their parser.
 */
#include <ctype.h>
#include <errno.h>
#include <gumbo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>
#include <weft/curl.h>

enum { FETCHES_MAX = 50, PAGES_MAX = 16 };

#define PAGE_BYTES_MAX (16L << 20)

/* ---- in tasks */

struct page {
    uint64_t number; /* of its URL */
    char *html;      /* owned by whoever has the page */
    size_t bytes;
};

static size_t append(const char *bytes, size_t one, size_t size, void *ctx)
{
    struct page *page = ctx;
    char *longer = realloc(page->html, page->bytes + size);
    (void)one;
    if (!longer)
        return 0;
    page->html = longer;
    memcpy(page->html + page->bytes, bytes, size);
    page->bytes += size;
    return page->bytes <= PAGE_BYTES_MAX ? size : 0;
}

static int download(weft_call *call, struct page *page)
{
    CURLcode code = CURLE_OK;
    CURL *easy = curl_easy_init();
    if (!easy)
        return -ENOMEM;
    curl_easy_setopt(easy, CURLOPT_URL, (const char *)call->arg);
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, page);
    int rc = weft_curl_perform(easy, &code, weft_after(30 * WEFT_S));
    curl_easy_cleanup(easy);
    if (rc < 0)
        return weft_call_fail(call, rc, "%s", weft_strerror(rc));
    return code == CURLE_OK ? 0 : weft_call_fail(call, -EIO, "%s", curl_easy_strerror(code));
}

static int fetch(weft_call *call)
{
    weft_queue *pages = call->context;
    struct page page = { .number = call->index };
    int rc = download(call, &page);
    if (rc == 0)
        rc = weft_queue_put(pages, &page, WEFT_FOREVER);
    if (rc < 0)
        free(page.html);
    return rc;
}

/* ---- in processes */

/* On one line, whatever is in it. */
static void print_line(FILE *to, const char *text)
{
    for (text += strspn(text, " \t\r\n\f"); *text; text++)
        putc(iscntrl((unsigned char)*text) ? ' ' : *text, to);
    putc('\n', to);
}

static const char *title_of(const GumboNode *node)
{
    const GumboVector *children = &node->v.element.children;
    const GumboNode *text = children->length > 0 ? children->data[0] : NULL;
    return text && text->type == GUMBO_NODE_TEXT ? text->v.text.text : "";
}

/* The title, if it is somewhere below the node, and the links to a stream, in their order. */
static void look(const GumboNode *node, const char **title, FILE *links)
{
    if (node->type != GUMBO_NODE_ELEMENT && node->type != GUMBO_NODE_TEMPLATE)
        return;
    const GumboElement *element = &node->v.element;
    const GumboAttribute *href = gumbo_get_attribute(&element->attributes, "href");
    if (element->tag == GUMBO_TAG_TITLE && !*title)
        *title = title_of(node);
    if (element->tag == GUMBO_TAG_A && href) {
        fputs("    ", links);
        print_line(links, href->value);
    }
    for (unsigned i = 0; i < element->children.length; i++)
        look(element->children.data[i], title, links);
}

/* Its title, and a line for each link. */
static int describe(const GumboNode *root, char **ret_text, size_t *ret_bytes)
{
    char *links = NULL;
    const char *title = NULL;
    size_t bytes = 0;
    FILE *to = open_memstream(&links, &bytes);
    if (!to)
        return -ENOMEM;
    look(root, &title, to);
    if (fclose(to) != 0)
        return -ENOMEM;
    to = open_memstream(ret_text, ret_bytes);
    if (to) {
        print_line(to, title ? title : "(no title)");
        fwrite(links, 1, bytes, to);
    }
    free(links);
    return to && fclose(to) == 0 ? 0 : -ENOMEM;
}

static int parse(weft_call *call)
{
    char *text = NULL;
    size_t bytes = 0;
    GumboOptions options = kGumboDefaultOptions;
    options.max_errors = 0; /* nobody asks what is wrong with the page */
    GumboOutput *document = gumbo_parse_with_options(&options, call->arg, call->arg_bytes);
    int rc = document ? describe(document->root, &text, &bytes) : -ENOMEM;
    if (document)
        gumbo_destroy_output(&options, document);
    if (rc == 0)
        rc = weft_call_return(call, text, bytes);
    free(text);
    return rc;
}

/* ---- in between */

struct scrape {
    char **urls;
    uint64_t *parsing; /* which URL's page the n-th call of `parses` has */
    size_t fetches_left, parses_begun, parses_left, failed;
    weft_queue *pages;
    weft_pool *tasks, *processes;
    weft_group *fetches, *parses;
};

/* "fetch failed: ..." or "parse crashed: killed by signal 11 (Segmentation fault)" */
static void complain(struct scrape *s, const char *url, const char *what, weft_future *future)
{
    const weft_outcome *outcome = weft_future_outcome(future);
    const char *text = outcome->text[0] ? outcome->text : weft_strerror(outcome->status);
    printf("%s: %s %s: %s\n", url, what, weft_how_name(outcome->how), text);
    s->failed++;
}

/* Takes the future. */
static void fetched(struct scrape *s, weft_future *future)
{
    if (weft_future_outcome(future)->how != WEFT_DONE)
        complain(s, s->urls[weft_future_index(future)], "fetch", future);
    weft_future_close(future);
    if (--s->fetches_left == 0)
        weft_queue_shutdown(s->pages, false);
}

/* Takes the page. */
static int come(struct scrape *s, struct page *page)
{
    s->parsing[s->parses_begun++] = page->number;
    s->parses_left++;
    int rc = weft_group_submit(s->parses, parse, page->html, page->bytes, NULL, WEFT_FOREVER);
    free(page->html);
    return rc;
}

/* Takes the future. */
static void parsed(struct scrape *s, weft_future *future)
{
    const char *url = s->urls[s->parsing[weft_future_index(future)]];
    const char *text = weft_future_result(future, NULL);
    if (text)
        printf("%s: %s", url, text);
    else
        complain(s, url, "parse", future);
    weft_future_close(future);
    s->parses_left--;
}

/* Until all pages have come and are parsed. */
static int gather(struct scrape *s)
{
    int rc = 0;
    bool more = true; /* pages may come */
    while (rc == 0 && (more || s->parses_left > 0)) {
        struct page page;
        weft_future *future = NULL;
        weft_case cases[] = {
            { .op = WEFT_GET, .on.queue = more ? s->pages : NULL, .item = &page },
            { .op = WEFT_NEXT, .on.group = s->fetches_left ? s->fetches : NULL, .item = &future },
            { .op = WEFT_NEXT, .on.group = s->parses_left ? s->parses : NULL, .item = &future },
        };
        int first = weft_select(cases, sizeof cases / sizeof *cases, WEFT_FOREVER);
        if (first == 0 && cases[0].result == -EPIPE)
            more = false;
        else if (first == 0)
            rc = come(s, &page);
        else if (first == 1)
            fetched(s, future);
        else if (first == 2)
            parsed(s, future);
        else
            rc = first;
    }
    return rc;
}

/* Room for all URLs to wait: who hands them out must not wait for who waits for the parsers. */
static int open_fetchers(struct scrape *s, size_t count)
{
    weft_options options = { .name = "fetch", .workers = FETCHES_MAX };
    options.backlog_max = (uint32_t)count;
    options.context = s->pages;
    options.context_bytes = WEFT_POINTER;
    return weft_pool_open(&s->tasks, WEFT_TASKS, &options);
}

static int open_workers(struct scrape *s, size_t count)
{
    int rc = weft_queue_open(&s->pages, sizeof(struct page), PAGES_MAX, 0);
    if (rc == 0)
        rc = open_fetchers(s, count);
    if (rc == 0)
        rc = weft_pool_open(&s->processes, WEFT_PROCESSES, &(weft_options){ .name = "parse" });
    if (rc == 0)
        rc = weft_group_open(&s->fetches, WEFT_TASKS,
                             &(weft_options){ .pool = s->tasks, .on_failure = WEFT_GO_ON });
    if (rc == 0)
        rc = weft_group_open(&s->parses, WEFT_PROCESSES,
                             &(weft_options){ .pool = s->processes, .on_failure = WEFT_GO_ON });
    return rc;
}

static void close_workers(struct scrape *s)
{
    struct page page;
    weft_group_close(s->fetches);
    weft_group_close(s->parses);
    weft_pool_close(s->tasks);
    weft_pool_close(s->processes);
    while (s->pages && weft_queue_get(s->pages, &page, WEFT_NOW) == 0)
        free(page.html);
    weft_queue_close(s->pages);
    free(s->parsing);
}

static int scrape(char **urls, size_t count, size_t *ret_failed)
{
    struct scrape s = { .urls = urls, .parsing = calloc(count, sizeof *s.parsing) };
    int rc = s.parsing ? open_workers(&s, count) : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = weft_group_submit(s.fetches, fetch, urls[i], WEFT_STRING, NULL, WEFT_FOREVER);
        s.fetches_left += rc == 0;
    }
    if (rc == 0)
        rc = gather(&s);
    close_workers(&s);
    *ret_failed = s.failed;
    return rc;
}

int main(int argc, char **argv)
{
    size_t failed = 0;
    if (argc < 2) {
        fprintf(stderr, "Usage: %s URL...\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0); /* told when it happens, also into a pipe */
    int rc = weft_curl_init();
    if (rc == 0)
        rc = weft_init();
    if (rc == 0)
        rc = scrape(argv + 1, (size_t)argc - 1, &failed);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", argv[0], weft_strerror(rc));
    return rc < 0 || failed > 0;
}
