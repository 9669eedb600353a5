/* SPDX-License-Identifier: MIT */
/*
 * Introduces weft_fd_wait and scopes: a thousand queries at once to PostgreSQL, by somebody else's
 * library, in tasks.
 *
 *     06_postgres CONNINFO [QUERIES [CONNECTIONS [DEADLINE_MS]]]
 *
 * libpq has calls that do not block, and says which descriptor to wait for; weft_fd_wait() is all
 * that it takes to use them in a task. Each query is a task. The connections lie in a queue: who
 * wants one takes it and puts it back, so that the queue limits how many queries the server sees at
 * once. A scope gives each query its deadline, however many waits it makes.
 *
 * (A host name in CONNINFO is looked up by PQconnectStart(), which blocks; an address or a socket's
 * directory is not.)
 */
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <weft.h>

/* The same for every call. */
struct database {
    const char *conninfo;
    weft_queue *connections; /* of PGconn *; NULL: yet to be made, or to be made anew */
    int64_t deadline_ns;
};

static int wait_for(PGconn *connection, int events)
{
    int rc = weft_fd_wait(PQsocket(connection), events, WEFT_FOREVER);
    return rc < 0 ? rc : 0;
}

/* What PQconnectdb() does, but waits as a task. */
static int connect_to(PGconn *connection)
{
    PostgresPollingStatusType wants = PGRES_POLLING_WRITING;
    if (PQstatus(connection) == CONNECTION_BAD)
        return -ECONNREFUSED;
    while (wants != PGRES_POLLING_OK) {
        int rc = wait_for(connection, wants == PGRES_POLLING_READING ? POLLIN : POLLOUT);
        if (rc < 0)
            return rc;
        wants = PQconnectPoll(connection);
        if (wants == PGRES_POLLING_FAILED)
            return -ECONNREFUSED;
    }
    return PQsetnonblocking(connection, 1) == 0 ? 0 : -EIO;
}

static int send_query(PGconn *connection, const char *number)
{
    int rc = 0, unsent;
    if (!PQsendQueryParams(connection, "SELECT $1::int * 2 FROM pg_sleep(0.01)", 1, NULL, &number,
                           NULL, NULL, 0))
        return -EIO;
    while (rc == 0 && (unsent = PQflush(connection)) != 0) {
        if (unsent < 0)
            return -EIO;
        rc = wait_for(connection, POLLIN | POLLOUT); /* the server may want to be read first */
        if (rc == 0 && !PQconsumeInput(connection))
            rc = -EIO;
    }
    return rc;
}

/* The next result, to be cleared; NULL: there is no other. */
static int next_result(PGconn *connection, PGresult **ret)
{
    while (PQisBusy(connection)) {
        int rc = wait_for(connection, POLLIN);
        if (rc < 0)
            return rc;
        if (!PQconsumeInput(connection))
            return -EIO;
    }
    *ret = PQgetResult(connection);
    return 0;
}

static int read_answer(PGconn *connection, long *ret)
{
    PGresult *result;
    int rc, found = -EIO;
    while ((rc = next_result(connection, &result)) == 0 && result) {
        if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1) {
            *ret = strtol(PQgetvalue(result, 0, 0), NULL, 10);
            found = 0;
        }
        PQclear(result);
    }
    return rc < 0 ? rc : found;
}

static int ask(weft_call *call, PGconn **connection, const struct database *database, long *ret)
{
    char number[24];
    int rc = 0;
    snprintf(number, sizeof number, "%llu", (unsigned long long)call->index);
    if (!*connection) {
        *connection = PQconnectStart(database->conninfo);
        rc = *connection ? connect_to(*connection) : -ENOMEM;
    }
    if (rc == 0)
        rc = send_query(*connection, number);
    if (rc == 0)
        rc = read_answer(*connection, ret);
    if (rc == 0)
        return 0;
    weft_call_fail(call, rc, "query %s: %s: %s", number, weft_strerror(rc),
                   PQerrorMessage(*connection));
    PQfinish(*connection); /* nobody knows what is still under way on it */
    *connection = NULL;
    return rc;
}

static int query(weft_call *call)
{
    struct database *database = call->context;
    PGconn *connection;
    weft_scope scope;
    long answer = 0;
    int rc = weft_queue_get(database->connections, &connection, WEFT_FOREVER);
    if (rc < 0)
        return rc;
    weft_scope_enter(&scope, weft_after(database->deadline_ns), 0);
    rc = ask(call, &connection, database, &answer);
    weft_scope_leave(&scope);
    (void)!weft_queue_put(database->connections, &connection, WEFT_NOW); /* its place is free */
    return rc < 0 ? rc : weft_call_return(call, &answer, sizeof answer);
}

/* Takes the answers as they come. Returns how many queries failed. */
static long collect(weft_group *queries, long *ret_sum)
{
    weft_future *future;
    long failed = 0;
    while (weft_group_next(queries, &future, WEFT_FOREVER) == 0) {
        const long *answer = weft_future_result(future, NULL);
        if (answer)
            *ret_sum += *answer;
        else if (failed++ == 0)
            fprintf(stderr, "First failure: %s\n", weft_future_outcome(future)->text);
        weft_future_close(future);
    }
    return failed;
}

static int run(struct database *database, long count, long *ret_failed, long *ret_sum)
{
    weft_options options = { .on_failure = WEFT_GO_ON,
                             .context = database,
                             .context_bytes = WEFT_POINTER };
    weft_group *queries;
    int rc = weft_group_open(&queries, WEFT_TASKS, &options);
    if (rc < 0)
        return rc;
    for (long i = 0; rc == 0 && i < count; i++)
        rc = weft_group_submit(queries, query, NULL, 0, NULL, WEFT_FOREVER);
    *ret_failed = collect(queries, ret_sum);
    weft_group_close(queries);
    return rc;
}

static int open_connections(struct database *database, long count)
{
    PGconn *none = NULL;
    int rc = weft_queue_open(&database->connections, sizeof none, (size_t)count, 0);
    for (long i = 0; rc == 0 && i < count; i++)
        rc = weft_queue_put(database->connections, &none, WEFT_NOW);
    return rc;
}

static void close_connections(struct database *database)
{
    PGconn *connection;
    while (database->connections &&
           weft_queue_get(database->connections, &connection, WEFT_NOW) == 0)
        PQfinish(connection);
    weft_queue_close(database->connections);
}

static long number(int argc, char **argv, int i, long otherwise)
{
    long n = i < argc ? strtol(argv[i], NULL, 10) : 0;
    return n > 0 ? n : otherwise;
}

int main(int argc, char **argv)
{
    long count = number(argc, argv, 2, 1000), limit = number(argc, argv, 3, 20);
    long failed = 0, sum = 0;
    struct database database = { .conninfo = argc > 1 ? argv[1] : "",
                                 .deadline_ns = number(argc, argv, 4, 10000) * WEFT_MS };
    int rc = open_connections(&database, limit);
    if (rc == 0)
        rc = run(&database, count, &failed, &sum);
    close_connections(&database);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], weft_strerror(rc));
        return 1;
    }
    printf("%ld queries over %ld connections, %ld failed, sum of the answers %ld\n", count, limit,
           failed, sum);
    return failed > 0;
}
