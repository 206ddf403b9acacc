/* SPDX-License-Identifier: Apache-2.0 */
/* A governed message on its way through the consumer's side: between gate_consume.c, gate_admit.c and defer.c. */
#ifndef JG_PLUGIN_COMING_H
#define JG_PLUGIN_COMING_H

#include "plugin/event.h"
#include "plugin/gate.h"
#include "plugin/release.h"
#include "plugin/stamp.h"

#define JG_NO_STORE "jobgate: this job has a claim, but jobgate.store is not set here: set it to the producer's store"

/* Unset where no plugin produced it and its class has no limit. */
struct jg_coming {
    rd_kafka_message_t *rkmessage;
    const char *topic;
    enum jg_stamped stamped;
    struct jg_stamp stamp;        /* of a message that no plugin produced: as one would have made it, without dedup */
    struct jg_policy policy;      /* of its class; a class with nothing where there is no stamp */
    enum jg_rdk_call call;        /* that hands it out */
    bool batch;                   /* the consumer takes many at once, now or before */
    bool again;                   /* its position came before, since it was assigned */
    struct jg_releases *releases; /* what it frees; NULL: nothing. Owned by jg_gate_consume */
    int64_t now_ms;
};

/* Does the store have to be asked about it? */
bool jg_coming_needs_answer(const struct jg_coming *coming);

/* In gate_admit.c: the message may run, or not. `done` (NULL: nothing) is what ran before; owned from here on. */
void jg_gate_decide(struct jg_gate *gate, const struct jg_coming *coming, struct jg_run *done);

/* In gate_consume.c: it is finished, and not for the application; `answer` (a SKIP) says why. */
void jg_coming_skip(struct jg_gate *gate, const struct jg_coming *coming, const struct jg_op *answer);
/* Nothing can be decided now: it comes again. */
void jg_coming_hold_back(struct jg_gate *gate, const struct jg_coming *coming, const char *reason);
/* It is finished here. `handed_out`: to the application, which may have to commit it yet. */
void jg_coming_finish_offset(struct jg_gate *gate, const struct jg_coming *coming, bool handed_out);
/* In gate_admit.c: what ran before has ended; NULL: nothing did. Takes ownership. */
void jg_coming_end_done(struct jg_gate *gate, struct jg_run *done, int64_t now_ms);

/* In first.c: has the group run nothing of this topic before? If so, it has committed an offset from here on, so that
 * this is true once only: whoever asks after a job was admitted for it hears no. Blocks on Kafka, for three times
 * `timeout_ms` at most; what cannot be found out counts as no. */
bool jg_coming_is_first(struct jg_gate *gate, const struct jg_coming *coming, int timeout_ms);

/* How long this message may wait for what is not ready: store.wait.ms, but in a batch call only once in a while, since
 * each of its messages would wait in turn. It waited so long, in vain. */
int64_t jg_coming_patience_ms(const struct jg_gate *gate, const struct jg_coming *coming);
void jg_coming_was_patient(struct jg_gate *gate, const struct jg_coming *coming);

/* In defer.c: make what holding needs, once: the holder, and the resumer where it is ours to run. */
void jg_defer_start(struct jg_gate *gate);
/* The job goes to the holding topic, and is skipped. JG_OK: it is there, or will be (completion by poll). Else it is
 * not, and `error` says why; nothing was done to the message. Blocks at most store.wait.ms. */
JG_MUST_USE enum jg_err jg_defer(struct jg_gate *gate, const struct jg_coming *coming, enum jg_reason reason,
                                 struct jg_error *error);
/* The job is done, and its successor (of the store's answer) may not be in its topic: there it goes, once more; then
 * the message is to be skipped. As jg_defer. */
JG_MUST_USE enum jg_err jg_defer_again(struct jg_gate *gate, const struct jg_coming *coming, const struct jg_op *answer,
                                       struct jg_error *error);
/* What produces held jobs, and those that are enqueued again; made with the first. NULL: it cannot be made; `error`
 * says why. */
struct jg_holder *jg_defer_holder(struct jg_gate *gate, struct jg_error *error);
/* Is the job on its way to the holding topic already, from before? */
bool jg_defer_is_under_way(struct jg_gate *gate, const struct jg_coming *coming);
/* A partition goes: deliver what was taken of it, at most `timeout_ms`, and forget the rest. */
void jg_defer_leave(struct jg_gate *gate, const char *topic, int32_t partition, int64_t timeout_ms);
/* Both are to end soon: nobody waits for the holder from here on, the resumer leads no more. Never blocks for long. */
void jg_defer_hurry(struct jg_gate *gate);
/* End both, by deadline_ms. Thread: librdkafka's main thread. False: one hangs in the host's code and was abandoned. */
JG_MUST_USE bool jg_defer_stop(struct jg_gate *gate, int64_t deadline_ms);
/* The consumer is being closed, and is of no use afterwards: the resumer leads no more. Never blocks. */
void jg_defer_quit(struct jg_gate *gate);

/* In telling.c, where the settings ask for it: what happened to a job; it and its position are filled in. */
void jg_tell_coming(struct jg_gate *gate, const struct jg_coming *coming, struct jg_event event);
void jg_tell_run(struct jg_gate *gate, const struct jg_run *run, struct jg_event event);

#endif
