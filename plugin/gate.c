/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an instance, and what comes back to it: acknowledgements, commits, rebalances. */
#include "plugin/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/thread.h"
#include "connectors/fork.h"
#include "connectors/kafka/holding.h"
#include "plugin/coming.h"
#include "plugin/counters.h"
#include "plugin/known.h"
#include "plugin/process.h"
#include "plugin/stamp.h"
#include "plugin/told.h"

/* A destroyed handle waits no longer than both together, with whatever is left of its servers. CLOSE_MS is for one
 * after another: calls of the public API that return, what the store is still told, what was deferred and is
 * acknowledged. The Kafka clients of our own end beside that: a call that waits for a broker ends within
 * JG_OWN_CALL_MS, and none begins that could last longer. What has not ended by then is abandoned. */
#define CLOSE_MS 8500
#define EVENTS_STOP_MS 1000 /* and half a second for their producer */
#define CALLS_MS 2000

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct jg_gate *registry;

static void
guard_registry(void)
{
    static struct jg_fork_guard guard;
    jg_fork_add_lock(&guard, &registry_lock);
}

static void
list(struct jg_gate *gate)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, guard_registry);
    pthread_mutex_lock(&registry_lock);
    gate->registered_next = registry;
    registry = gate;
    pthread_mutex_unlock(&registry_lock);
}

static void
unlist(struct jg_gate *gate)
{
    pthread_mutex_lock(&registry_lock);
    struct jg_gate **link = &registry;
    while (*link && *link != gate)
        link = &(*link)->registered_next;
    if (*link)
        *link = gate->registered_next;
    pthread_mutex_unlock(&registry_lock);
}

struct jg_gate *
jg_gate_of(const rd_kafka_t *rk)
{
    pthread_mutex_lock(&registry_lock);
    struct jg_gate *gate = registry;
    while (gate && gate->rk != rk)
        gate = gate->registered_next;
    pthread_mutex_unlock(&registry_lock);
    return gate;
}

/* --- made and ended --- */

static void
to_client_log(void *opaque, int level, const char *fac, const char *text)
{
    const struct jg_gate *gate = opaque;
    char name[48];
    snprintf(name, sizeof name, "JOBGATE-%s", fac);
    gate->client.log_cb(gate->rk, level, name, text);
}

static void
init_id(struct jg_gate *gate)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (uint64_t)jg_clock_us() * 0x9E3779B97F4A7C15ull ^ (uint64_t)(uintptr_t)gate;
    snprintf(gate->id, sizeof gate->id, "%016llx", (unsigned long long)random);
}

static void
init_sync(struct jg_gate *gate)
{
    pthread_mutex_init(&gate->lock, NULL);
    jg_cond_init(&gate->wake);
    jg_cond_init(&gate->idle);
}

static void
open_store(struct jg_gate *gate)
{
    const struct jg_store_options options = {
        .url = gate->settings->store,
        .name_space = gate->settings->name_space,
        .timeout_ms = gate->settings->store_timeout_ms,
        .log = &gate->log,
    };
    struct jg_error error;
    if (!options.url || jg_store_open(&options, &gate->store, &error) == JG_OK)
        return;
    gate->store = NULL;
    gate->refused = error;
}

/* Kafka clients of our own hold jobs and bring them back. A consumer whose settings limit nothing does without, when it
 * has to. */
static void
settle_own(struct jg_gate *gate, const rd_kafka_conf_t *rk_conf)
{
    struct jg_error error;
    gate->own = (struct jg_own){.rdk = gate->rdk, .log = &gate->log};
    enum jg_err err = jg_own_check(gate->rdk, rk_conf, gate->conf, &error);
    if (err == JG_OK)
        err = jg_own_base(gate->rdk, rk_conf, gate->conf, &gate->own.base, &error);
    if (err == JG_OK)
        return;
    gate->own.base = NULL;
    if (gate->gates || gate->client.completion == JG_COMPLETION_API)
        gate->refused = error;
}

/* With completion by commit a job's offset is past before its successor exists. */
static void
check_capacity(struct jg_gate *gate)
{
    char setting[200];
    if (gate->refused.text[0] || !gate->client.consumer || gate->client.completion != JG_COMPLETION_COMMIT ||
        !jg_conf_some_capacity(gate->conf, setting, sizeof setting))
        return;
    snprintf(gate->refused.text, sizeof gate->refused.text,
             "jobgate: %.190s is set, and this consumer stores or commits its offsets itself: a job's offset would be "
             "past before the job is enqueued again, and a crash would end its chain. Leave enable.auto.commit and "
             "enable.auto.offset.store at true and take one message per poll, or set jobgate.completion=api and call "
             "jobgate_complete",
             setting);
}

static void
settle_limits(struct jg_gate *gate)
{
    char setting[200];
    gate->gates = jg_conf_has_gate(gate->conf);
    if (!jg_conf_needs_end(gate->conf, setting, sizeof setting))
        return;
    snprintf(gate->unseen, sizeof gate->unseen, "jobgate: %.190s is set, and " JG_UNSEEN_END ": " JG_UNSEEN_CURE "%s",
             setting, strstr(setting, "dedup") ? ", or use dedup=until_executing" : "");
}

static void
open_events(struct jg_gate *gate)
{
    const struct jg_events_options options = {
        .rdk = gate->rdk,
        .host = gate->rk_conf,
        .conf = gate->conf,
        .log = &gate->log,
        .instance = gate->id,
        .group = gate->client.consumer ? gate->client.group : NULL,
        .client_id = gate->client.client_id,
    };
    if (gate->settings->events_topic && !gate->refused.text[0] && gate->settings->disable == JG_DISABLE_NO &&
        !(gate->client.consumer && gate->settings->observe))
        gate->events_out = jg_events_new(&options);
}

/* Settle what this handle may do; says so when it is refused. */
static void
settle(struct jg_gate *gate, rd_kafka_conf_t *rk_conf)
{
    struct jg_error error;
    if (gate->settings->disable != JG_DISABLE_NO || (gate->client.consumer && gate->settings->observe)) {
        gate->refused.text[0] = '\0'; /* it governs nothing, so there is nothing to refuse */
        return;
    }
    if (!gate->refused.text[0] && jg_client_check(&gate->client, gate->settings, &gate->refused) == JG_OK)
        open_store(gate);
    check_capacity(gate);
    if (!gate->refused.text[0] && gate->client.consumer && gate->store)
        settle_own(gate, rk_conf);
    if (gate->client.consumer &&
        jg_client_take_over(gate->rdk, rk_conf, &gate->client, jg_gate_rebalance, &error) != JG_OK)
        gate->refused = error;
    if (!gate->refused.text[0])
        return;
    if (gate->client.consumer)
        (void)jg_storing_take(gate); /* nothing governed will be handed out, so nothing governed may be stored */
    jg_log(&gate->log, JG_LOG_ERROR, "CONF", "this handle is refused: %s", gate->refused.text);
}

struct jg_gate *
jg_gate_new(const struct jg_rdk *rdk, rd_kafka_t *rk, rd_kafka_conf_t *rk_conf, const struct jg_conf *conf,
            const struct jg_error *refused)
{
    struct jg_client client;
    const struct jg_settings *settings = jg_conf_settings(conf);
    if (jg_conf_is_idle(conf))
        return NULL;
    jg_client_read(rdk, rk_conf, rdk->type(rk), settings, &client);
    if (!client.producer && !client.consumer)
        return NULL;
    struct jg_gate *gate = calloc(1, sizeof *gate);
    if (!gate)
        return NULL;
    gate->rdk = rdk;
    gate->rk = rk;
    gate->rk_conf = rk_conf;
    gate->conf = conf;
    gate->settings = settings;
    gate->client = client;
    gate->completion = client.completion;
    gate->renew_every_ms = JG_RUN_TTL_MS / 3;
    gate->refused = *refused;
    gate->generation = jg_process_generation();
    gate->events = client.events;
    snprintf(gate->name, sizeof gate->name, "%s", client.client_id[0] ? client.client_id : "jobgate");
    gate->log = (struct jg_log){.level = settings->log_level, .name = gate->name};
    init_id(gate);
    init_sync(gate);
    settle_limits(gate);
    settle(gate, rk_conf);
    open_events(gate);
    if (client.log_cb) { /* only now: the handle is not whole yet while it is being made */
        gate->log.opaque = gate;
        gate->log.sink = to_client_log;
    }
    list(gate);
    return gate;
}

/* No call of the public API begins any more; those that are under way see that it stops, and end. */
static bool
await_calls(struct jg_gate *gate, int64_t deadline_ms)
{
    atomic_store(&gate->stopping, true);
    pthread_mutex_lock(&registry_lock); /* whoever has found it by now is counted */
    pthread_mutex_unlock(&registry_lock);
    jg_defer_hurry(gate);
    int64_t until_ms = jg_clock_ms() + 2 * gate->settings->store_timeout_ms + CALLS_MS;
    while (atomic_load(&gate->calls) && jg_clock_ms() < until_ms && jg_clock_ms() < deadline_ms)
        jg_clock_pause_ms(1);
    return atomic_load(&gate->calls) == 0;
}

struct jg_gate *
jg_gate_enter(bool (*wanted)(struct jg_gate *gate, void *opaque), void *opaque)
{
    pthread_mutex_lock(&registry_lock);
    struct jg_gate *gate = registry;
    while (gate &&
           (gate->generation != jg_process_generation() || atomic_load(&gate->stopping) || !wanted(gate, opaque)))
        gate = gate->registered_next;
    if (gate)
        atomic_fetch_add(&gate->calls, 1);
    pthread_mutex_unlock(&registry_lock);
    return gate;
}

void
jg_gate_exit(struct jg_gate *gate)
{
    atomic_fetch_sub(&gate->calls, 1);
}

void
jg_gate_stop(struct jg_gate *gate)
{
    if (gate->generation != jg_process_generation())
        return;
    int64_t deadline_ms = jg_clock_ms() + CLOSE_MS;
    jg_callbackless_end(gate);
    bool called = !await_calls(gate, deadline_ms);
    if (!jg_worker_stop(gate, deadline_ms)) {
        jg_log(NULL, JG_LOG_ERROR, "THREAD", "the background thread does not end: abandoned");
        atomic_store(&gate->abandoned, true);
    }
    if (called || !jg_defer_stop(gate, deadline_ms)) { /* a call that goes on may be inside the holder */
        jg_log(NULL, JG_LOG_ERROR, "THREAD", "a thread of the holder or the resumer does not end: abandoned");
        atomic_store(&gate->abandoned, true);
    }
    if (gate->events_out && !atomic_load(&gate->abandoned)) { /* else an abandoned thread may still tell some */
        if (!jg_events_stop(gate->events_out, EVENTS_STOP_MS)) {
            jg_log(NULL, JG_LOG_ERROR, "THREAD", "the thread that sends events does not end: abandoned");
            atomic_store(&gate->abandoned, true);
        }
        gate->events_out = NULL;
    }
    if (gate->consumer_queue)
        gate->rdk->queue_destroy(gate->consumer_queue);
    gate->consumer_queue = NULL;
    if (gate->echoes)
        gate->rdk->queue_destroy(gate->echoes);
    gate->echoes = NULL;
    gate->log.sink = NULL; /* the handle's name is gone soon */
    unlist(gate);
}

bool
jg_gate_destroy(struct jg_gate *gate)
{
    if (atomic_load(&gate->abandoned))
        return false;
    /* A forked child has none of our threads, and locks as they happened to be: it closes the connection only. */
    if (gate->store)
        jg_store_close(gate->store);
    if (gate->generation != jg_process_generation())
        return false;
    jg_queue_clear(&gate->queue);
    jg_unacked_clear(&gate->unacked);
    jg_offsets_clear(&gate->offsets);
    jg_offsets_clear(&gate->unseen_offsets);
    jg_inflight_clear(&gate->inflight);
    jg_ending_remove(&gate->ending, NULL, 0, -1);
    jg_compaction_clear(&gate->compaction);
    jg_told_clear(&gate->known);
    jg_told_clear(&gate->guards);
    if (gate->own.base)
        gate->rdk->conf_destroy(gate->own.base);
    pthread_cond_destroy(&gate->wake);
    pthread_cond_destroy(&gate->idle);
    pthread_mutex_destroy(&gate->lock);
    free(gate);
    return true;
}

/* --- acknowledged --- */

void
jg_gate_acknowledged(struct jg_gate *gate, rd_kafka_message_t *rkmessage, int64_t now_ms)
{
    char jid[JG_JID_CHARS + 1] = "";
    bool known = jg_send_failed_here(gate, rkmessage, jid) || jg_stamp_jid(gate->rdk, rkmessage, jid);
    if (!known || !jid[0])
        return;
    pthread_mutex_lock(&gate->lock);
    struct jg_pending *claim = jg_unacked_take(&gate->unacked, jid);
    atomic_store(&gate->unacked_count, gate->unacked.order.count);
    pthread_mutex_unlock(&gate->lock);
    if (!claim)
        return;
    bool certain = !rkmessage->err && gate->rdk->message_status(rkmessage) == RD_KAFKA_MSG_STATUS_PERSISTED &&
                   !gate->client.transactional && !gate->client.weak_acks;
    claim->op.kind = certain ? JG_OP_CONFIRM : JG_OP_RELEASE;
    /* Told later than that, it would be of no use: nobody keeps the claim alive any more. */
    claim->give_up_ms = now_ms + claim->op.dedup_provisional_ms;
    if ((!certain && !rkmessage->err) || !jg_worker_push(gate, claim))
        jg_pending_destroy(claim);
}

bool
jg_gate_governs(const struct jg_gate *gate, const rd_kafka_message_t *rkmessage)
{
    const char *topic = gate->rdk->topic_name(rkmessage->rkt);
    char origin[JG_TOPIC_MAX_BYTES + 1];
    if (jg_conf_topic(gate->conf, topic))
        return true;
    /* A subscription to a pattern finds what is held beside a governed topic. */
    return gate->client.consumer && jg_holding_parse(topic, origin, sizeof origin) && jg_conf_topic(gate->conf, origin);
}

/* --- finished --- */

void
jg_gate_finish_offset(struct jg_gate *gate, const char *topic, int32_t partition, int64_t offset)
{
    pthread_mutex_lock(&gate->lock);
    jg_offsets_finish(&gate->offsets, topic, partition, offset);
    jg_ending_remove(&gate->ending, topic, partition, offset);
    pthread_mutex_unlock(&gate->lock);
    jg_storing_store_safe(gate, topic, partition);
}

void
jg_gate_finish(struct jg_gate *gate, struct jg_run *run)
{
    if (run->in_store)
        jg_count(JG_COUNT_COMPLETED, 1);
    if (run->settled && !run->failed) {
        struct jg_event event = JG_EVENT_INIT(JG_EVENT_DONE);
        jg_tell_run(gate, run, event);
    }
    if (jg_run_may_go_on(run) && !run->settled) {
        jg_run_destroy(run); /* whether it goes on is not known: its offset stays open, so it is delivered again */
        return;
    }
    jg_gate_finish_offset(gate, run->topic, run->partition, run->offset);
    jg_run_destroy(run);
}

enum jg_err
jg_gate_completed(struct jg_gate *gate, struct jg_run *run, const struct jg_op *op, int64_t wait_ms)
{
    jg_again_tell_gauge(gate, run->class_name, op);
    if (run->gated)
        jg_known_ran(gate, run->class_name, jg_clock_ms() - run->started_ms);
    if (op->next[0])
        return jg_again(gate, run, op, wait_ms);
    run->settled = true;
    jg_gate_finish(gate, run);
    return JG_OK;
}

void
jg_gate_end_later(struct jg_gate *gate, struct jg_run *run, int64_t now_ms)
{
    bool told = run->in_store || run->failed;
    struct jg_pending *pending = told ? jg_pending_complete(run) : NULL;
    if (!pending) {
        run->settled = !told;
        jg_gate_finish(gate, run);
        return;
    }
    /* By then its claim is gone anyway; but what may have to be enqueued again is not finished without the store. */
    pending->give_up_ms = jg_run_may_go_on(run) ? INT64_MAX : now_ms + run->dedup_ttl_ms;
    if (!jg_worker_push(gate, pending)) {
        pending->run = NULL;
        jg_pending_destroy(pending);
        jg_gate_finish(gate, run);
    }
}

struct jg_run *
jg_gate_come_back(struct jg_gate *gate, const char *how)
{
    struct jg_run *run = NULL;
    struct jg_run *unseen = NULL;
    if (!atomic_load(&gate->busy))
        return NULL;
    pthread_mutex_lock(&gate->lock);
    if (gate->current) {
        /* The loops of Go and Rust move between threads. */
        bool same = atomic_load(&gate->events) || pthread_equal(gate->current_thread, pthread_self());
        *(same ? &run : &unseen) = jg_gate_take_current(gate);
        if (!same)
            gate->completion = JG_COMPLETION_AUTO;
    }
    pthread_mutex_unlock(&gate->lock);
    if (unseen)
        jg_gate_end_unseen(gate, unseen, how);
    return run;
}

struct jg_run *
jg_gate_take_current(struct jg_gate *gate)
{
    struct jg_run *run = gate->current;
    if (run)
        jg_inflight_remove(&gate->inflight, run);
    gate->current = NULL;
    gate->probing = gate->probing && !atomic_load(&gate->events); /* that one was for this run */
    atomic_store(&gate->busy, false);
    return run;
}

void
jg_gate_end_unseen(struct jg_gate *gate, struct jg_run *run, const char *how)
{
    jg_log(
        &gate->log, JG_LOG_WARNING, "RUN",
        "%s on a second thread while a job is open: the end of a job cannot be seen any more, offsets are stored when "
        "messages are handed out. Poll on one thread, or set enable.auto.offset.store=false and store offsets when "
        "jobs are done",
        how);
    jg_count(JG_COUNT_LOST_RUN, 1);
    run->in_store = false; /* whether it ended is not known: its claim ends when its run is no longer renewed */
    jg_gate_finish(gate, run);
}

/* --- committed --- */

void
jg_gate_committed(struct jg_gate *gate, const rd_kafka_topic_partition_list_t *offsets, rd_kafka_resp_err_t err,
                  int64_t now_ms)
{
    for (int i = 0; offsets && i < offsets->cnt; i++) {
        const rd_kafka_topic_partition_t *each = &offsets->elems[i];
        struct jg_run *ended = NULL;
        if (each->offset < 0)
            continue;
        pthread_mutex_lock(&gate->lock);
        if (err || each->err) {
            jg_offsets_commit_failed(&gate->unseen_offsets, each->topic, each->partition, each->offset);
            pthread_mutex_unlock(&gate->lock);
            continue;
        }
        if (gate->completion == JG_COMPLETION_COMMIT)
            ended = jg_inflight_take(&gate->inflight, each->topic, each->partition, 0, each->offset);
        if (gate->client.commits_itself) {
            jg_offsets_committed(&gate->unseen_offsets, each->topic, each->partition, each->offset);
            gate->follows = true;
            pthread_cond_signal(&gate->wake);
        }
        pthread_mutex_unlock(&gate->lock);
        while (ended) {
            struct jg_run *next = ended->next;
            jg_gate_end_later(gate, ended, now_ms);
            ended = next;
        }
    }
}
