/* SPDX-License-Identifier: Apache-2.0 */
/* Deferring: a consumed job goes to its holding topic, or, when it is enqueued again, to its own. One thread with one
 * idempotent producer makes the topics that are missing and produces in order; what fails is tried again until it is
 * there, so a job that was taken is lost by nothing but the end of the process, and then its offset was not stored. */
#ifndef JG_CONNECTORS_KAFKA_HOLDER_H
#define JG_CONNECTORS_KAFKA_HOLDER_H

#include "connectors/kafka/deferral.h"
#include "connectors/kafka/own.h"
#include "plugin/stamp.h"

struct jg_holder_options {
    struct jg_own own;
    const char *name_space;
    /* The job of a consumed position is where it was to go. Not for those that somebody waits for. */
    void (*done)(void *opaque, const char *topic, int32_t partition, int64_t offset);
    /* It was too large for it, and is in `<topic>.dead`: its claim has to end. `done` comes too. */
    void (*buried)(void *opaque, const char *topic, const struct jg_stamp *stamp);
    /* A holding topic came up that this holder did not know. */
    void (*opened)(void *opaque);
    void *opaque; /* all three: on the holder's thread, no lock held */
};

struct jg_holder;

/* Starts a thread; asks no server yet. NULL: `error` says why. */
struct jg_holder *jg_holder_new(const struct jg_holder_options *options, struct jg_error *error);

/* It is to end soon: whoever waits for it stops waiting, now and later; it goes on. Whatever it waits for of a broker
 * other than to deliver is over JG_OWN_CALL_MS later. */
void jg_holder_hurry(struct jg_holder *holder);

/* Deliver what is there, at most `timeout_ms`, then end and free it; all by deadline_ms. False: its thread hangs, and
 * everything was left to it. */
JG_MUST_USE bool jg_holder_stop(struct jg_holder *holder, int64_t timeout_ms, int64_t deadline_ms);

/* Take a consumed message, with the stamp that it goes with, to the place that it goes to; waits at most `room_ms`
 * while too many are on their way. `wait_ms` 0: it is delivered in the background, `done` tells. Else waits until it is
 * there; one that did not get there in time goes on, and is found when the same position comes again (`again`).
 * JG_ENOMEM: no room. JG_EHOST: not there in time; `error` says what is in the way. Thread: any. */
JG_MUST_USE enum jg_err jg_holder_defer(struct jg_holder *holder, const rd_kafka_message_t *rkmessage,
                                        const char *topic, const struct jg_stamp *stamp, enum jg_target_kind kind,
                                        bool again, int64_t room_ms, int64_t wait_ms, struct jg_error *error);

/* The same with a copy that was made before, and is the holder's from here on. There is always room: as many come this
 * way as ran. It goes on also when it is not there in time (JG_EHOST). */
JG_MUST_USE enum jg_err jg_holder_take(struct jg_holder *holder, struct jg_deferral *each, int64_t wait_ms,
                                       struct jg_error *error);

/* Is this job on its way from that position, or did it get there after whoever waited for it had gone? */
JG_MUST_USE bool jg_holder_has(struct jg_holder *holder, const char *topic, int32_t partition, int64_t offset,
                               const char *jid);

/* Wait, at most `timeout_ms`, until nothing of the partition is on its way, then forget what still is: the partition
 * goes to somebody else. topic NULL: all partitions. */
void jg_holder_leave(struct jg_holder *holder, const char *topic, int32_t partition, int64_t timeout_ms);

#endif
