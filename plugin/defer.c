/* SPDX-License-Identifier: Apache-2.0 */
/* What holding is made of inside a consumer: the holder, made with the first job over its limit, and the resumer, which
 * every consumer with a store has (unless jobgate.resumer says otherwise) and which stands by until it is needed. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/kafka/holder.h"
#include "connectors/kafka/resumer.h"
#include "plugin/act.h"
#include "plugin/coming.h"
#include "plugin/counters.h"
#include "plugin/ops.h"
#include "plugin/successor.h"

#define STOP_MS 2000     /* what was deferred may take to arrive, at the end */
#define ABANDON_MS 10000 /* for one that nothing was given to */

void
jg_defer_start(struct jg_gate *gate)
{
    struct jg_error error;
    if (!gate->store || !gate->own.base || gate->resumer || gate->refused.text[0] ||
        gate->settings->resumer != JG_RESUMER_EMBEDDED)
        return;
    const struct jg_resumer_options options = {
        .rdk = gate->rdk,
        .base_conf = gate->own.base,
        .store = gate->store,
        .conf = gate->conf,
        .log = &gate->log,
        .group = gate->client.group,
        .instance = gate->id,
        .events = gate->events_out,
    };
    if (jg_resumer_start(&options, &gate->resumer, &error) != JG_OK) {
        gate->resumer = NULL;
        jg_log(&gate->log, JG_LOG_ERROR, "RESUME", "held jobs are not brought back by this consumer: %s", error.text);
    }
}

/* --- what the holder tells --- */

static void
arrived(void *opaque, const char *topic, int32_t partition, int64_t offset)
{
    struct jg_gate *gate = opaque;
    jg_gate_finish_offset(gate, topic, partition, offset);
}

static void
buried(void *opaque, const char *topic, const struct jg_stamp *stamp)
{
    struct jg_gate *gate = opaque;
    struct jg_policy policy;
    jg_conf_policy(gate->conf, stamp->class_name, &policy);
    const struct jg_op op = jg_op_bury(stamp, &policy);
    jg_worker_push_op(gate, &op, jg_clock_ms() + JG_RUN_TTL_MS);
    struct jg_event event = JG_EVENT_INIT(JG_EVENT_BURIED);
    event.class_name = stamp->class_name;
    event.jid = stamp->jid;
    event.key = stamp->key;
    event.topic = topic;
    event.attempt = stamp->attempt;
    event.reason = "too large for the holding topic";
    jg_tell(gate, &event);
}

static void
opened(void *opaque)
{
    struct jg_gate *gate = opaque;
    const struct jg_op op = {.kind = JG_OP_ANNOUNCE, .class_name = gate->client.group};
    jg_worker_push_op(gate, &op, jg_clock_ms() + JG_RUN_TTL_MS);
    if (gate->resumer)
        jg_resumer_notice(gate->resumer);
}

/* --- a job is held --- */

struct jg_holder *
jg_defer_holder(struct jg_gate *gate, struct jg_error *error)
{
    const struct jg_holder_options options = {
        .own = gate->own,
        .name_space = gate->settings->name_space,
        .done = arrived,
        .buried = buried,
        .opened = opened,
        .opaque = gate,
    };
    pthread_mutex_lock(&gate->lock);
    struct jg_holder *holder = gate->holder;
    pthread_mutex_unlock(&gate->lock);
    if (holder)
        return holder;
    if (atomic_load(&gate->stopping)) {
        snprintf(error->text, sizeof error->text, "the consumer is being closed");
        return NULL;
    }
    if (!gate->own.base) {
        snprintf(error->text, sizeof error->text, "jobgate has no Kafka client of its own here");
        return NULL;
    }
    holder = jg_holder_new(&options, error);
    pthread_mutex_lock(&gate->lock);
    struct jg_holder *other = gate->holder;
    bool late = !other && atomic_load(&gate->stopping); /* nobody would end it */
    if (!other && !late)
        gate->holder = holder;
    pthread_mutex_unlock(&gate->lock);
    if (!other && !late)
        return holder;
    if (holder)
        (void)!jg_holder_stop(holder, 0, jg_clock_ms() + ABANDON_MS);
    return other;
}

static void
make_stamp(const struct jg_gate *gate, const struct jg_coming *coming, enum jg_reason reason, struct jg_stamp *out)
{
    rd_kafka_timestamp_type_t type;
    *out = coming->stamp;
    out->held_reason = reason;
    out->not_before_ms = 0; /* only a job that failed has a backoff */
    if (out->held_since_ms > jg_wall_ms())
        out->held_since_ms = jg_wall_ms();
    if (out->held_since_ms)
        return; /* it was held before: that is what its age and origin are told by */
    int64_t at_ms = gate->rdk->message_timestamp(coming->rkmessage, &type);
    out->held_since_ms = jg_wall_ms();
    out->held_partition = coming->rkmessage->partition;
    out->held_offset = coming->rkmessage->offset;
    out->held_time_ms = at_ms > 0 ? at_ms : 0;
}

/* Hand it to the holder; its offset is finished when it is where it was to go. */
static enum jg_err
deliver(struct jg_gate *gate, const struct jg_coming *coming, const struct jg_stamp *stamp, enum jg_target_kind kind,
        struct jg_error *error)
{
    bool waits;
    pthread_mutex_lock(&gate->lock);
    /* Where the application stores or commits offsets it has to be there first. Where no rebalance is seen, nobody
     * would wait for it when its partition goes. */
    bool ours = gate->completion == JG_COMPLETION_POLL ||
                (gate->completion == JG_COMPLETION_API && !gate->client.commits_itself);
    waits = !ours || !gate->rebalanced;
    pthread_mutex_unlock(&gate->lock);
    struct jg_holder *holder = jg_defer_holder(gate, error);
    if (!holder)
        return JG_EHOST;
    int64_t wait_ms = jg_coming_patience_ms(gate, coming);
    wait_ms = wait_ms > 0 ? wait_ms : 1;
    enum jg_err err = jg_holder_defer(holder, coming->rkmessage, coming->topic, stamp, kind, coming->again, wait_ms,
                                      waits ? wait_ms : 0, error);
    if (err != JG_OK)
        jg_coming_was_patient(gate, coming);
    else if (waits)
        jg_coming_finish_offset(gate, coming, false);
    return err;
}

enum jg_err
jg_defer(struct jg_gate *gate, const struct jg_coming *coming, enum jg_reason reason, struct jg_error *error)
{
    struct jg_stamp stamp;
    struct jg_event event = JG_EVENT_INIT(JG_EVENT_HELD);
    event.time_ms = jg_wall_ms();
    make_stamp(gate, coming, reason, &stamp);
    enum jg_err err = deliver(gate, coming, &stamp, JG_TARGET_HELD, error);
    if (err != JG_OK)
        return err;
    jg_act_skip(gate, coming->rkmessage, JG_SKIP_HELD);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_HOLD], JG_LOG_INFO, "HOLD",
                 "class %s: job %s at %s/%d/%lld is held (%s)", stamp.class_name, stamp.jid, coming->topic,
                 (int)coming->rkmessage->partition, (long long)coming->rkmessage->offset, jg_reason_name(reason));
    event.reason = jg_reason_name(reason);
    jg_tell_coming(gate, coming, event);
    return JG_OK;
}

enum jg_err
jg_defer_again(struct jg_gate *gate, const struct jg_coming *coming, const struct jg_op *answer, struct jg_error *error)
{
    rd_kafka_timestamp_type_t type;
    const rd_kafka_message_t *rkmessage = coming->rkmessage;
    const struct jg_successor again = {
        .jid = answer->next,
        .waits = answer->next_waits,
        /* Only a job that failed waits without a capacity; how often is not known here. */
        .failed = answer->next_waits && !coming->policy.capacity,
        .retry_ms = coming->policy.capacity_retry_ms,
        .partition = rkmessage->partition,
        .offset = rkmessage->offset,
        .time_ms = gate->rdk->message_timestamp(rkmessage, &type),
    };
    struct jg_stamp stamp;
    jg_successor_stamp(&coming->stamp, &again, jg_wall_ms(), &stamp);
    return deliver(gate, coming, &stamp, again.waits ? JG_TARGET_HELD : JG_TARGET_ORIGIN, error);
}

bool
jg_defer_is_under_way(struct jg_gate *gate, const struct jg_coming *coming)
{
    if (!coming->again)
        return false;
    pthread_mutex_lock(&gate->lock);
    struct jg_holder *holder = gate->holder;
    pthread_mutex_unlock(&gate->lock);
    return holder && coming->stamped == JG_STAMP_OURS &&
           jg_holder_has(holder, coming->topic, coming->rkmessage->partition, coming->rkmessage->offset,
                         coming->stamp.jid);
}

void
jg_defer_leave(struct jg_gate *gate, const char *topic, int32_t partition, int64_t timeout_ms)
{
    pthread_mutex_lock(&gate->lock);
    struct jg_holder *holder = gate->holder;
    pthread_mutex_unlock(&gate->lock);
    if (holder)
        jg_holder_leave(holder, topic, partition, timeout_ms);
}

void
jg_defer_hurry(struct jg_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    struct jg_holder *holder = gate->holder;
    pthread_mutex_unlock(&gate->lock);
    if (holder)
        jg_holder_hurry(holder);
    jg_defer_quit(gate);
}

void
jg_defer_quit(struct jg_gate *gate)
{
    if (gate->resumer)
        jg_resumer_quit(gate->resumer);
}

bool
jg_defer_stop(struct jg_gate *gate, int64_t deadline_ms)
{
    pthread_mutex_lock(&gate->lock);
    struct jg_holder *holder = gate->holder;
    gate->holder = NULL;
    pthread_mutex_unlock(&gate->lock);
    bool ended = !holder || jg_holder_stop(holder, STOP_MS, deadline_ms);
    if (ended && gate->resumer) /* a holder that was abandoned may still notify it */
        ended = jg_resumer_stop(gate->resumer, deadline_ms);
    gate->resumer = NULL;
    return ended;
}
