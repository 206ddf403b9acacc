/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/redis/resolve.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/thread.h"

/* Lookups that were late and still run; more are not started. */
#define MOST_LEFT_BEHIND 4

/* Shared by the caller and the thread; the last of them frees it. */
struct lookup {
    pthread_mutex_t lock;
    pthread_cond_t done_changed;
    bool done;
    bool left_behind;
    int failure; /* of getaddrinfo */
    struct addrinfo *found;
    char *port;
    char host[];
};

static atomic_int left_behind;

static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};

static void
lookup_destroy(struct lookup *lookup)
{
    pthread_cond_destroy(&lookup->done_changed);
    pthread_mutex_destroy(&lookup->lock);
    if (lookup->found)
        freeaddrinfo(lookup->found);
    free(lookup->port);
    free(lookup);
}

static void *
look_up(void *argument)
{
    struct lookup *lookup = argument;
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(lookup->host, lookup->port, &hints, &found);
    pthread_mutex_lock(&lookup->lock);
    lookup->found = failure ? NULL : found;
    lookup->failure = failure;
    lookup->done = true;
    bool alone = lookup->left_behind;
    pthread_cond_signal(&lookup->done_changed);
    pthread_mutex_unlock(&lookup->lock);
    if (alone) {
        lookup_destroy(lookup);
        atomic_fetch_sub(&left_behind, 1);
    }
    return NULL;
}

static struct lookup *
lookup_new(const char *host, const char *port)
{
    struct lookup *lookup = calloc(1, sizeof *lookup + strlen(host) + 1);
    if (!lookup)
        return NULL;
    lookup->port = strdup(port);
    if (!lookup->port) {
        free(lookup);
        return NULL;
    }
    strcpy(lookup->host, host);
    jg_cond_init(&lookup->done_changed);
    pthread_mutex_init(&lookup->lock, NULL);
    return lookup;
}

static int
start_thread(struct lookup *lookup)
{
    pthread_t thread;
    int failure = jg_thread_start(&thread, look_up, lookup);
    if (!failure)
        (void)pthread_detach(thread);
    return failure;
}

/* True: `lookup` is done and the caller's alone. */
static bool
await(struct lookup *lookup, int64_t deadline_ms)
{
    pthread_mutex_lock(&lookup->lock);
    while (!lookup->done && jg_clock_ms() < deadline_ms)
        (void)jg_cond_wait(&lookup->done_changed, &lookup->lock, deadline_ms);
    bool done = lookup->done;
    if (!done) {
        lookup->left_behind = true;
        atomic_fetch_add(&left_behind, 1);
    }
    pthread_mutex_unlock(&lookup->lock);
    return done;
}

static enum jg_err
look_up_bounded(const char *host, const char *port, int64_t deadline_ms, struct addrinfo **out, struct jg_error *error)
{
    struct lookup *lookup = NULL;
    if (atomic_load(&left_behind) < MOST_LEFT_BEHIND)
        lookup = lookup_new(host, port);
    if (!lookup || start_thread(lookup)) {
        if (lookup)
            lookup_destroy(lookup);
        snprintf(error->text, sizeof error->text, "the name %s cannot be looked up: earlier lookups still hang", host);
        return JG_ESTORE;
    }
    if (!await(lookup, deadline_ms)) {
        snprintf(error->text, sizeof error->text, "the name %s was not resolved in time", host);
        return JG_ESTORE;
    }
    int failure = lookup->failure;
    *out = lookup->found;
    lookup->found = NULL;
    lookup_destroy(lookup);
    if (!failure)
        return JG_OK;
    snprintf(error->text, sizeof error->text, "the name %s is not resolved: %s", host, gai_strerror(failure));
    return JG_ESTORE;
}

enum jg_err
jg_resolve(const char *host, const char *port, int64_t deadline_ms, struct addrinfo **out, struct jg_error *error)
{
    struct addrinfo numeric = hints;
    numeric.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    if (getaddrinfo(host, port, &numeric, out) == 0)
        return JG_OK;
    return look_up_bounded(host, port, deadline_ms, out, error);
}

void
jg_resolve_after_fork(void)
{
    atomic_store(&left_behind, 0);
}
