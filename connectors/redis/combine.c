/* SPDX-License-Identifier: Apache-2.0 */
/* Callers share the connection: one of them leads, sends what all that wait have, and hands the leadership on. The lock
 * guards who leads and who waits, and is never held during I/O.
 *
 * Bound: who waits longer than timeout_ms for a leader to take its operations, takes them back; a leader's work ends
 * 2 * timeout_ms after the oldest of its operations arrived. */
#include <sched.h>

#include "base/clock.h"
#include "base/thread.h"
#include "connectors/redis/redis.h"

/* Operations in one pipeline; the caller's own are never split. */
#define MOST_TAKEN 512

/* How often a leader lets other threads run before it takes what waits. */
#define MOST_YIELDS 3

/* tend was called this recently: there is a thread that reconnects, and no message needs to pay for it. */
#define TENDED_MS 3000

/* Who waits for the store is let go again no sooner than this after an operation failed. */
#define PACE_MS 50

static struct jg_redis *
cast(struct jg_store *store)
{
    return (struct jg_redis *)store;
}

/* --- with the lock held --- */

static void
append(struct jg_redis *redis, struct jg_request *request)
{
    *(redis->last ? &redis->last->next : &redis->first) = request;
    redis->last = request;
    redis->waiting++;
}

static void
take_back(struct jg_redis *redis, const struct jg_request *request)
{
    struct jg_request *before = NULL;
    for (struct jg_request *at = redis->first; at != request; at = at->next)
        before = at;
    *(before ? &before->next : &redis->first) = request->next;
    if (redis->last == request)
        redis->last = before;
    redis->waiting--;
}

/* The leader takes what waits, its own first. */
static struct jg_request *
take_waiting(struct jg_redis *redis)
{
    struct jg_request *taken = redis->first;
    struct jg_request *last = taken;
    size_t count = taken->count;
    taken->state = JG_REQUEST_TAKEN;
    redis->last_taken = 1;
    while (last->next && count + last->next->count <= MOST_TAKEN) {
        last = last->next;
        last->state = JG_REQUEST_TAKEN;
        count += last->count;
        redis->last_taken++;
    }
    redis->waiting -= redis->last_taken;
    redis->first = last->next;
    if (!redis->first)
        redis->last = NULL;
    last->next = NULL;
    return taken;
}

static void
finish(struct jg_request *requests)
{
    struct jg_request *next;
    for (struct jg_request *request = requests; request; request = next) {
        next = request->next; /* its owner may be gone as soon as it is done */
        request->state = JG_REQUEST_DONE;
        pthread_cond_signal(&request->changed);
    }
}

static void
fail_waiting(struct jg_redis *redis)
{
    for (struct jg_request *request = redis->first; request; request = request->next)
        for (size_t i = 0; i < request->count; i++)
            request->ops[i].err = JG_ESTORE;
    finish(redis->first);
    redis->first = redis->last = NULL;
    redis->waiting = 0;
}

/* Give the leadership up. With a trouble the breaker opens and nobody goes on waiting. */
static void
hand_on(struct jg_redis *redis, const struct jg_trouble *trouble, bool worked)
{
    if (trouble->kind) {
        int64_t now_ms = jg_clock_ms();
        redis->failed_ms = now_ms;
        atomic_fetch_add_explicit(&redis->base.meter.failures, 1, memory_order_relaxed);
        jg_breaker_failed(&redis->breaker, trouble->kind == JG_TROUBLE_LATE, now_ms, (uint64_t)jg_clock_us());
        fail_waiting(redis);
    } else if (worked) {
        jg_breaker_worked(&redis->breaker);
    } else {
        jg_breaker_answered(&redis->breaker);
    }
    redis->busy = redis->first;
    if (redis->first) {
        redis->first->state = JG_REQUEST_LEADS;
        pthread_cond_signal(&redis->first->changed);
    }
    pthread_cond_broadcast(&redis->up_changed);
}

/* May this caller try, or must it fail at once? A closed breaker lets everybody pass. */
static bool
may_enter(const struct jg_redis *redis, int64_t now_ms)
{
    if (!redis->breaker.open)
        return true;
    if (redis->busy || !jg_breaker_may_try(&redis->breaker, now_ms))
        return false;
    bool tended = redis->tended_ms && now_ms - redis->tended_ms < TENDED_MS;
    return !redis->breaker.slow || !tended;
}

/* --- without the lock --- */

static bool
any_worked(const struct jg_request *requests)
{
    for (; requests; requests = requests->next)
        for (size_t i = 0; i < requests->count; i++)
            if (requests->ops[i].err == JG_OK)
                return true;
    return false;
}

/* Tell of the change that led up to here, without the lock; called and left with it held. */
static void
tell(struct jg_redis *redis, const struct jg_trouble *trouble, bool worked)
{
    static struct jg_log_rate rate;
    bool again = worked && redis->told_down;
    redis->told_down = trouble->kind || (redis->told_down && !again);
    if (!trouble->kind && !again)
        return;
    pthread_mutex_unlock(&redis->lock);
    if (trouble->kind)
        jg_log_rated(redis->log, &rate, JG_LOG_ERROR, "STORE", "jobgate.store %s: %s", redis->url.display,
                     trouble->error.text);
    else
        jg_log(redis->log, JG_LOG_NOTICE, "STORE", "jobgate.store %s: answers again", redis->url.display);
    pthread_mutex_lock(&redis->lock);
}

/* Those that the last pipeline served come back soon, one after the other: without a moment's patience the first of
 * them would go alone, and all others with the next. A single caller is never held up. */
static void
let_others_join(struct jg_redis *redis)
{
    for (int i = 0; i < MOST_YIELDS && redis->waiting < redis->last_taken; i++) {
        pthread_mutex_unlock(&redis->lock);
        sched_yield();
        pthread_mutex_lock(&redis->lock);
    }
}

/* The caller leads: `busy` is set, and its request is the first that waits. Called and left with the lock held. */
static void
lead(struct jg_redis *redis)
{
    struct jg_trouble trouble;
    let_others_join(redis);
    struct jg_request *taken = take_waiting(redis);
    pthread_mutex_unlock(&redis->lock);
    int64_t began_us = jg_clock_us();
    jg_redis_exchange(redis, taken, &trouble);
    jg_histogram_add(&redis->base.meter.exchanges, jg_clock_us() - began_us);
    bool worked = !trouble.kind && any_worked(taken);
    pthread_mutex_lock(&redis->lock);
    finish(taken);
    hand_on(redis, &trouble, worked);
    tell(redis, &trouble, worked);
}

/* Wait until a leader has carried the request out, or has made this caller the leader. */
static void
follow(struct jg_redis *redis, struct jg_request *request)
{
    int64_t deadline_ms = request->arrived_ms + redis->timeout_ms;
    while (request->state == JG_REQUEST_WAITING && jg_clock_ms() < deadline_ms)
        (void)jg_cond_wait(&request->changed, &redis->lock, deadline_ms);
    if (request->state == JG_REQUEST_WAITING) {
        take_back(redis, request);
        for (size_t i = 0; i < request->count; i++)
            request->ops[i].err = JG_ESTORE;
        return;
    }
    /* Its operations are the leader's until it is done, which is bounded. */
    while (request->state == JG_REQUEST_TAKEN)
        pthread_cond_wait(&request->changed, &redis->lock);
    if (request->state == JG_REQUEST_LEADS)
        lead(redis);
}

enum jg_err
jg_redis_exec(struct jg_store *store, struct jg_op *ops, size_t count)
{
    struct jg_redis *redis = cast(store);
    struct jg_request request = {.ops = ops, .count = count, .arrived_ms = jg_clock_ms()};
    enum jg_err first = JG_OK;
    jg_cond_init(&request.changed);
    pthread_mutex_lock(&redis->lock);
    if (!may_enter(redis, request.arrived_ms)) {
        for (size_t i = 0; i < count; i++)
            ops[i].err = JG_ESTORE;
    } else {
        append(redis, &request);
        if (redis->busy) {
            follow(redis, &request);
        } else {
            redis->busy = true;
            lead(redis);
        }
    }
    for (size_t i = 0; i < count && !first; i++)
        first = ops[i].err;
    if (first)
        redis->failed_ms = jg_clock_ms();
    pthread_mutex_unlock(&redis->lock);
    pthread_cond_destroy(&request.changed);
    return first;
}

/* Try to connect, as the leader that the caller is not yet. Called and left with the lock held. */
static void
probe(struct jg_redis *redis, int64_t deadline_ms)
{
    struct jg_trouble trouble = {.kind = JG_TROUBLE_NONE};
    redis->busy = true;
    pthread_mutex_unlock(&redis->lock);
    enum jg_err err = jg_redis_connect(redis, deadline_ms, &trouble);
    pthread_mutex_lock(&redis->lock);
    if (!err)
        trouble.kind = JG_TROUBLE_NONE;
    hand_on(redis, &trouble, false);
    tell(redis, &trouble, false);
}

bool
jg_redis_wait(struct jg_store *store, int64_t timeout_ms)
{
    struct jg_redis *redis = cast(store);
    int64_t now_ms = jg_clock_ms();
    int64_t deadline_ms = now_ms + timeout_ms;
    bool up = false;
    pthread_mutex_lock(&redis->lock);
    while (!up && now_ms < deadline_ms) {
        int64_t next_ms = deadline_ms;
        int64_t pace_ms = redis->failed_ms ? redis->failed_ms + PACE_MS : 0;
        if (!redis->breaker.open)
            next_ms = pace_ms;
        else if (!redis->busy)
            next_ms = redis->breaker.next_try_ms;
        up = !redis->breaker.open && now_ms >= pace_ms;
        if (!up && redis->breaker.open && !redis->busy && now_ms >= next_ms)
            probe(redis, deadline_ms);
        else if (!up)
            (void)jg_cond_wait(&redis->up_changed, &redis->lock, next_ms < deadline_ms ? next_ms : deadline_ms);
        now_ms = jg_clock_ms();
    }
    pthread_mutex_unlock(&redis->lock);
    return up;
}

bool
jg_redis_is_up(struct jg_store *store)
{
    struct jg_redis *redis = cast(store);
    pthread_mutex_lock(&redis->lock);
    bool up = !redis->breaker.open;
    pthread_mutex_unlock(&redis->lock);
    return up;
}

void
jg_redis_tend(struct jg_store *store)
{
    struct jg_redis *redis = cast(store);
    pthread_mutex_lock(&redis->lock);
    redis->tended_ms = jg_clock_ms();
    if (redis->breaker.open && !redis->busy && jg_breaker_may_try(&redis->breaker, redis->tended_ms))
        probe(redis, redis->tended_ms + redis->timeout_ms);
    pthread_mutex_unlock(&redis->lock);
}
