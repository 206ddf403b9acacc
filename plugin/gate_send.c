/* SPDX-License-Identifier: Apache-2.0 */
/* The producer's side: identify, policy, claim, act. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/thread.h"
#include "plugin/act.h"
#include "plugin/counters.h"
#include "plugin/event.h"
#include "plugin/stamp.h"

#define UNBOUNDED_MS 86400000 /* where message.timeout.ms is 0: some purged messages are never acknowledged */

/* What this thread last produced, since a produce call that fails acknowledges on the same thread before it returns,
 * and then maybe with the application's own struct. */
static _Thread_local struct {
    const struct jg_gate *gate;
    char jid[JG_JID_CHARS + 1]; /* empty: no claim */
} last_sent;

bool
jg_send_failed_here(const struct jg_gate *gate, const rd_kafka_message_t *rkmessage, char *jid)
{
    /* A producing thread acknowledges real messages only in a purge, or when their topic goes. */
    if (!rkmessage->err || rkmessage->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
        rkmessage->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT || rkmessage->err == RD_KAFKA_RESP_ERR__DESTROY ||
        last_sent.gate != gate)
        return false;
    memcpy(jid, last_sent.jid, sizeof last_sent.jid);
    return true;
}

static bool
find_header(void *opaque, const char *name, const void **value, size_t *value_bytes)
{
    void **context = opaque;
    const struct jg_rdk *rdk = context[0];
    const rd_kafka_message_t *rkmessage = context[1];
    rd_kafka_headers_t *headers = NULL;
    return !rdk->message_headers(rkmessage, &headers) && headers &&
           !rdk->header_get_last(headers, name, value, value_bytes);
}

/* `context` has room for two pointers, and must live as long as what is returned. */
static struct jg_message
message_of(const struct jg_gate *gate, const rd_kafka_message_t *rkmessage, const char *topic, void **context)
{
    context[0] = (void *)(uintptr_t)gate->rdk;
    context[1] = (void *)(uintptr_t)rkmessage;
    return (struct jg_message){
        .topic = topic,
        .key = rkmessage->key,
        .key_bytes = rkmessage->key_len,
        .payload = rkmessage->payload,
        .payload_bytes = rkmessage->len,
        .header = find_header,
        .opaque = context,
    };
}

bool
jg_gate_limit_key(const struct jg_gate *gate, const rd_kafka_message_t *rkmessage, const char *topic,
                  const char *class_name, const struct jg_selector *selector, struct jg_identity *identity, char *key)
{
    void *context[2];
    const struct jg_message message = message_of(gate, rkmessage, topic, context);
    return jg_identify_limit_key(jg_conf_topic(gate->conf, topic), gate->settings->name_space, class_name, selector,
                                 &message, identity, key);
}

enum jg_identified
jg_gate_identify(const struct jg_gate *gate, const rd_kafka_message_t *rkmessage, const char *topic,
                 struct jg_identity *identity)
{
    void *context[2];
    const struct jg_message message = message_of(gate, rkmessage, topic, context);
    return jg_identify(jg_conf_topic(gate->conf, topic), gate->settings->name_space, &message, identity);
}

/* Refuse a produce call, or say why it goes out all the same. */
static bool
refuse(struct jg_gate *gate, rd_kafka_message_t *rkmessage, const char *topic, const char *why)
{
    bool rejected = jg_act_reject(gate, rkmessage);
    jg_count(JG_COUNT_REFUSED, 1);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_REFUSED], JG_LOG_ERROR, "SEND", "a message for topic %s %s: %s",
                 topic,
                 rejected ? "is refused"
                          : "cannot be refused in a batch call or a transaction, and goes out without a "
                            "claim",
                 why);
    return rejected;
}

/* The first calls for a topic wait for the broker's answer, store.timeout.ms at most. */
static bool
is_compacted(struct jg_gate *gate, const char *topic, int64_t now_ms)
{
    bool is_new;
    bool timed_out = false;
    int64_t noted_ms;
    pthread_mutex_lock(&gate->lock);
    enum jg_compaction_state state = jg_compaction_look(&gate->compaction, topic, now_ms, &is_new, &noted_ms);
    if (is_new)
        pthread_cond_signal(&gate->wake);
    int64_t until_ms = noted_ms + gate->settings->store_timeout_ms;
    while ((state == JG_COMPACTION_NEW || state == JG_COMPACTION_ASKED) && now_ms < until_ms && !timed_out &&
           gate->worker_started) {
        timed_out = !jg_cond_wait(&gate->idle, &gate->lock, until_ms);
        state = jg_compaction_look(&gate->compaction, topic, now_ms, &is_new, &noted_ms);
    }
    pthread_mutex_unlock(&gate->lock);
    return state == JG_COMPACTION_COMPACTED;
}

static void
unidentified(struct jg_gate *gate, rd_kafka_message_t *rkmessage, const struct jg_topic_spec *spec, const char *topic,
             const char *reason)
{
    bool rejected = spec->on_unidentified == JG_UNIDENTIFIED_REJECT && jg_act_reject(gate, rkmessage);
    jg_count(JG_COUNT_UNIDENTIFIED, 1);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_UNIDENTIFIED], JG_LOG_WARNING, "IDENTIFY",
                 "a message for topic %s cannot be identified and %s: %s", topic, rejected ? "is rejected" : "passes",
                 reason);
}

/* --- the claim and its answers --- */

struct sending {
    const char *topic;
    struct jg_policy policy;
    struct jg_stamp stamp;
    struct jg_op op;
};

static void
begin(struct sending *sending, const struct jg_identity *identity)
{
    struct jg_stamp *stamp = &sending->stamp;
    memcpy(stamp->class_name, identity->class_name, sizeof stamp->class_name);
    memcpy(stamp->key, identity->key, sizeof stamp->key);
    jg_jid_new(stamp->key, stamp->jid);
    stamp->dedup = sending->policy.dedup;
    sending->op = (struct jg_op){
        .kind = JG_OP_CLAIM,
        .class_name = stamp->class_name,
        .key = stamp->key,
        .jid = stamp->jid,
        .dedup = sending->policy.dedup,
        .dedup_ttl_ms = sending->policy.dedup_ttl_ms,
        .dedup_provisional_ms = sending->policy.dedup_provisional_ms,
        .action = sending->policy.dedup_action,
        .follows_up = sending->policy.dedup_follow_up,
    };
}

/* The claim, or the candidate, waits for its acknowledgement. */
static void
expect_acknowledgement(struct jg_gate *gate, const struct sending *sending, int64_t now_ms)
{
    struct jg_pending *claim = jg_pending_new(&sending->op);
    int64_t timeout_ms = gate->client.message_timeout_ms;
    if (!claim)
        return; /* never confirmed: the claim ends by its TTL, having turned nothing away */
    claim->kept_ms = now_ms;
    claim->give_up_ms = now_ms + (timeout_ms ? timeout_ms : UNBOUNDED_MS) + sending->policy.dedup_provisional_ms;
    pthread_mutex_lock(&gate->lock);
    enum jg_err err = jg_unacked_add(&gate->unacked, claim);
    atomic_store(&gate->unacked_count, gate->unacked.order.count);
    pthread_mutex_unlock(&gate->lock);
    if (err != JG_OK) {
        jg_pending_destroy(claim);
        return;
    }
    memcpy(last_sent.jid, sending->stamp.jid, sizeof last_sent.jid);
}

/* The claim will not be used, or it is not known whether it was made. */
static void
release(struct jg_gate *gate, const struct sending *sending, int64_t now_ms)
{
    struct jg_op op = sending->op;
    op.kind = JG_OP_RELEASE;
    jg_worker_push_op(gate, &op, now_ms + sending->policy.dedup_provisional_ms);
}

static void
stamp(struct jg_gate *gate, rd_kafka_message_t *rkmessage, const struct sending *sending, int64_t now_ms)
{
    if (jg_stamp_write(gate->rdk, rkmessage, &sending->stamp, gate->settings->name_space, sending->topic) == JG_OK)
        return;
    jg_stamp_strip(gate->rdk, rkmessage); /* half a stamp is worse than none */
    release(gate, sending, now_ms);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_STORE], JG_LOG_ERROR, "SEND",
                 "out of memory: a job for topic %s goes out without a claim", sending->topic);
}

static void
tell(struct jg_gate *gate, const struct sending *sending, enum jg_event_kind kind)
{
    struct jg_event event = JG_EVENT_INIT(kind);
    if (!jg_event_wanted(gate->settings, &gate->log))
        return;
    event.class_name = sending->stamp.class_name;
    event.jid = sending->stamp.jid;
    event.key = sending->stamp.key;
    event.topic = sending->topic;
    event.duplicate_of = kind == JG_EVENT_DUPLICATE ? sending->op.original : NULL;
    jg_tell(gate, &event);
}

static void
send_unclaimed(struct jg_gate *gate, rd_kafka_message_t *rkmessage, struct sending *sending, int64_t now_ms)
{
    release(gate, sending, now_ms);
    if (gate->settings->store_failure == JG_STORE_FAILURE_CLOSED && jg_act_reject(gate, rkmessage)) {
        jg_log_rated(&gate->log, &gate->rates[JG_RATE_STORE], JG_LOG_ERROR, "STORE",
                     "the store does not answer: a job for topic %s is rejected (jobgate.store.failure=closed)",
                     sending->topic);
        return;
    }
    sending->stamp.unclaimed = true;
    stamp(gate, rkmessage, sending, now_ms);
    jg_count(JG_COUNT_UNCLAIMED, 1);
    tell(gate, sending, JG_EVENT_PRODUCED);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_STORE], JG_LOG_WARNING, "STORE",
                 "the store does not answer: jobs for topic %s go out without a claim, so their duplicates run too",
                 sending->topic);
}

static void
send_duplicate(struct jg_gate *gate, rd_kafka_message_t *rkmessage, struct sending *sending,
               const struct jg_identity *identity, int64_t now_ms)
{
    bool rejected = sending->policy.dedup_action == JG_DUP_REJECT && jg_act_reject(gate, rkmessage);
    if (!rejected) {
        memcpy(sending->stamp.duplicate_of, sending->op.original, sizeof sending->stamp.duplicate_of);
        sending->stamp.duplicate_since_ms = sending->op.original_since_ms;
        stamp(gate, rkmessage, sending, now_ms);
    }
    jg_count(JG_COUNT_DUPLICATE, 1);
    jg_log_rated(&gate->log, &gate->rates[JG_RATE_DUPLICATE], JG_LOG_INFO, "DUPLICATE",
                 "class %s: job %s%s%s is a duplicate of %s, %s since %" PRId64 ": %s", sending->stamp.class_name,
                 sending->stamp.jid, identity->id.size_bytes ? ", id " : "",
                 identity->id.size_bytes ? identity->id.data : "", sending->op.original,
                 jg_claim_state_name(sending->op.original_state), sending->op.original_since_ms,
                 rejected ? "rejected" : "marked");
    tell(gate, sending, JG_EVENT_DUPLICATE);
}

static void
claim(struct jg_gate *gate, rd_kafka_message_t *rkmessage, struct sending *sending, const struct jg_identity *identity,
      int64_t now_ms)
{
    begin(sending, identity);
    if (jg_ask(gate, &sending->op, 1) != JG_OK) {
        send_unclaimed(gate, rkmessage, sending, now_ms);
        return;
    }
    switch (sending->op.claimed) {
    case JG_DUPLICATE:
        send_duplicate(gate, rkmessage, sending, identity, now_ms);
        return;
    case JG_CANDIDATE:
        memcpy(sending->stamp.candidate_of, sending->op.original, sizeof sending->stamp.candidate_of);
        sending->stamp.follow_up = sending->op.follow_up;
        jg_count(JG_COUNT_CANDIDATE, 1);
        break;
    case JG_ORIGINAL:
        jg_count(JG_COUNT_ORIGINAL, 1);
        break;
    }
    expect_acknowledgement(gate, sending, now_ms);
    stamp(gate, rkmessage, sending, now_ms);
    tell(gate, sending, JG_EVENT_PRODUCED);
}

static void
send_identified(struct jg_gate *gate, rd_kafka_message_t *rkmessage, const char *topic,
                const struct jg_identity *identity, int64_t now_ms)
{
    struct sending sending = {.topic = topic};
    jg_conf_policy(gate->conf, identity->class_name, &sending.policy);
    if (sending.policy.dedup == JG_DEDUP_NONE)
        return; /* limits are the consumer's */
    if (jg_stamp_has_release(gate->rdk, rkmessage))
        return; /* it says more than its arguments, so nothing is equal to it */
    jg_worker_start(gate);
    if (is_compacted(gate, topic, now_ms)) {
        refuse(gate, rkmessage, topic, "the topic is compacted (set its cleanup.policy=delete)");
        return;
    }
    claim(gate, rkmessage, &sending, identity, now_ms);
}

void
jg_gate_send_untouched(struct jg_gate *gate)
{
    last_sent.gate = gate;
    last_sent.jid[0] = '\0';
}

void
jg_gate_send(struct jg_gate *gate, rd_kafka_message_t *rkmessage, int64_t now_ms)
{
    struct jg_identity identity;
    const char *topic = gate->rdk->topic_name(rkmessage->rkt);
    const struct jg_topic_spec *spec = jg_conf_topic(gate->conf, topic);
    jg_gate_send_untouched(gate); /* so far */
    if (gate->settings->disable != JG_DISABLE_NO)
        return;
    jg_count(JG_COUNT_STRIPPED, (int64_t)jg_stamp_strip(gate->rdk, rkmessage));
    if (gate->refused.text[0]) {
        refuse(gate, rkmessage, topic, gate->refused.text);
        return;
    }
    jg_identity_init(&identity);
    switch (jg_gate_identify(gate, rkmessage, topic, &identity)) {
    case JG_IDENTIFIED:
        send_identified(gate, rkmessage, topic, &identity, now_ms);
        break;
    case JG_UNIDENTIFIED:
        unidentified(gate, rkmessage, spec, topic, identity.reason.text);
        break;
    case JG_NO_JOB:
        break;
    }
    jg_identity_clear(&identity);
}
