/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/redis/redis.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/thread.h"
#include "connectors/redis/resolve.h"

static const struct jg_store_vtable redis_vtable;

static void
take_lock(void *opaque)
{
    pthread_mutex_lock(&((struct jg_redis *)opaque)->lock);
}

static void
drop_lock(void *opaque)
{
    pthread_mutex_unlock(&((struct jg_redis *)opaque)->lock);
}

/* The child shares the parent's connection, and must not say a word on it. Who led or waited was another thread, which
 * is not here. */
static void
forget_parent(void *opaque)
{
    struct jg_redis *redis = opaque;
    jg_conn_abandon(&redis->conn);
    redis->commands = (struct jg_buf)JG_BUF_INIT;
    redis->busy = false;
    redis->first = redis->last = NULL;
    redis->waiting = redis->last_taken = 0;
    redis->tended_ms = 0;
    jg_cond_init(&redis->up_changed);
    jg_resolve_after_fork();
    pthread_mutex_unlock(&redis->lock);
}

static void
redis_close(struct jg_store *store)
{
    struct jg_redis *redis = (struct jg_redis *)store;
    jg_fork_remove(&redis->guard);
    jg_conn_close(&redis->conn);
    jg_buf_clear(&redis->commands);
    jg_redis_url_clear(&redis->url);
    pthread_cond_destroy(&redis->up_changed);
    pthread_mutex_destroy(&redis->lock);
    free(redis->prefix);
    free(redis);
}

static char *
make_prefix(const char *name_space)
{
    struct jg_buf prefix = JG_BUF_INIT;
    jg_buf_text(&prefix, "jg1:");
    jg_name_escape(&prefix, name_space);
    jg_buf_text(&prefix, ":");
    if (!prefix.failed)
        return prefix.data;
    jg_buf_clear(&prefix);
    return NULL;
}

enum jg_err
jg_redis_open(const struct jg_store_options *options, struct jg_store **out, struct jg_error *error)
{
    struct jg_redis *redis = calloc(1, sizeof *redis);
    enum jg_err err = JG_ENOMEM;
    snprintf(error->text, sizeof error->text, "out of memory");
    if (!redis)
        return err;
    redis->prefix = make_prefix(options->name_space);
    if (redis->prefix)
        err = jg_redis_url_parse(options->url, &redis->url, error);
    if (err) {
        jg_redis_url_clear(&redis->url);
        free(redis->prefix);
        free(redis);
        return err;
    }
    redis->base.vtable = &redis_vtable;
    redis->timeout_ms = options->timeout_ms;
    redis->log = options->log;
    pthread_mutex_init(&redis->lock, NULL);
    jg_cond_init(&redis->up_changed);
    redis->guard =
        (struct jg_fork_guard){.before = take_lock, .parent = drop_lock, .child = forget_parent, .opaque = redis};
    jg_fork_add(&redis->guard);
    *out = &redis->base;
    return JG_OK;
}

static const struct jg_store_vtable redis_vtable = {
    .close = redis_close,
    .exec = jg_redis_exec,
    .wait = jg_redis_wait,
    .is_up = jg_redis_is_up,
    .watch = jg_redis_watch,
    .tend = jg_redis_tend,
    .classes = jg_redis_classes,
    .class_report = jg_redis_class_report,
    .survey = jg_redis_survey,
    .claim_report = jg_redis_claim_report,
    .was = jg_redis_was,
    .tickets = jg_redis_tickets,
    .leases = jg_redis_leases,
    .slots = jg_redis_slots,
    .job_report = jg_redis_job_report,
    .key_report = jg_redis_key_report,
    .check = jg_redis_check,
    .duplicates = jg_redis_duplicates,
};
