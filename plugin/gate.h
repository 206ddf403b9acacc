/* SPDX-License-Identifier: Apache-2.0 */
/* The gate: one per librdkafka handle (an *instance*). A produced message goes through jg_gate_send, a consumed one
 * through jg_gate_consume; both read as the message's path. Around them: what comes back (acknowledgements, commits,
 * rebalances), and the background thread in worker.c.
 *
 * Locks: `lock` guards everything below it in the struct; nothing of librdkafka or of the store is called while it is
 * held. */
#ifndef JG_PLUGIN_GATE_H
#define JG_PLUGIN_GATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "connectors/kafka/events.h"
#include "connectors/kafka/own.h"
#include "plugin/client.h"
#include "plugin/compaction.h"
#include "plugin/conf.h"
#include "plugin/ending.h"
#include "plugin/inflight.h"
#include "plugin/offsets.h"
#include "plugin/pending.h"
#include "plugin/rdk.h"

#define JG_ALONG_MOST 16 /* of what waits for the background thread, so much is asked along with a question */

/* Why a consumer may be refused, and what helps, for messages. */
#define JG_UNSEEN_END                                                                                                  \
    "in Node, with batch calls, several polling threads or rd_kafka_consume_start the end of a job cannot be seen"
#define JG_UNSEEN_CURE                                                                                                 \
    "set enable.auto.offset.store=false and store offsets when jobs are done, or take one message per poll on one "    \
    "thread, or set jobgate.completion=api and call jobgate_complete"

/* Log lines that repeat, each at its own rate. */
enum jg_rate {
    JG_RATE_DUPLICATE,
    JG_RATE_SKIP,
    JG_RATE_NOOP,
    JG_RATE_UNIDENTIFIED,
    JG_RATE_STORE,
    JG_RATE_FOREIGN,
    JG_RATE_REFUSED,
    JG_RATE_HELD_BACK,
    JG_RATE_LOST,
    JG_RATE_HOLD,
    JG_RATE_AGAIN,
    JG_RATE_GAUGE,
    JG_RATE_KEYLESS,
    JG_RATE_RELEASE,
    JG_RATES
};

struct jg_gate {
    /* Fixed once made. */
    const struct jg_rdk *rdk;
    rd_kafka_t *rk;
    rd_kafka_conf_t *rk_conf;   /* the handle's live configuration */
    const struct jg_conf *conf; /* borrowed, lives until the handle's configuration is destroyed */
    const struct jg_settings *settings;
    struct jg_client client; /* what the handle's own properties say */
    char id[17];             /* this instance; with `incarnation`, in the names of its runs */
    char name[64];           /* the handle's client.id, for log lines */
    struct jg_log log;
    struct jg_error refused; /* why its settings cannot be honoured; empty: they can */
    bool gates;              /* some class has a limit, a lease or a capacity by its settings */
    char unseen[640];        /* the reason to refuse when the end of jobs cannot be seen; empty: none needs to be */
    struct jg_own own;       /* consumer: for Kafka clients of our own; base NULL: there are none */
    struct jg_events *events_out; /* events.topic; NULL: events go to no topic; gone in jg_gate_stop */
    unsigned generation;          /* of the process: another one means that we are in a forked child */
    struct jg_store *store;       /* NULL: none is set */
    struct jg_gate *registered_next;

    struct jg_log_rate rates[JG_RATES];
    _Atomic bool stopping;
    _Atomic unsigned incarnation; /* counts revocations: a job that is delivered again after one is another run */
    _Atomic int calls;            /* of the public API, under way on this gate */
    _Atomic bool abandoned;       /* the background thread did not end in time: it may still look at everything */
    _Atomic bool busy;            /* `current` is set */
    _Atomic bool storing;         /* consumer: we store offsets, in place of librdkafka; see storing.c */
    _Atomic bool batches;         /* consumer: batch calls were seen */
    _Atomic bool kind_seen;       /* consumer: it was looked whether it has an assignment at all */
    _Atomic bool events;          /* consumer: it takes events: see callbackless.c */
    _Atomic bool has_joined;      /* ... and has asked for the offsets of what it was assigned */
    _Atomic int64_t looked_ms;    /* ... monotonic: when its assignment was last looked at */
    bool watched;                 /* ... the background thread looks for the end of `current`, or is about to */
    _Atomic bool impatient; /* consumer: a batch call has waited for the store in vain; no more until it answers */
    _Atomic size_t unacked_count;
    _Atomic int64_t hasty_until_ms; /* monotonic: a batch call has waited in vain; until then others do not wait */
    _Atomic int64_t refusal_due_ms; /* monotonic: not before then is the application told again */

    pthread_mutex_t lock;
    pthread_cond_t wake; /* for the background thread */
    pthread_cond_t idle; /* some of the queue was carried out */
    pthread_t worker;
    bool worker_started;
    bool worker_failed;
    struct jg_queue queue; /* confirmations, releases, completions to be carried out */
    bool carrying;         /* some of it is in a thread's hands: what is behind that waits, for the order's sake */
    size_t completions;    /* of these, and releases of capacity slots, being carried out or waiting */
    size_t releases;       /* of capacity slots, likewise: there is a bound for them */
    size_t renewals;       /* likewise: while there are any, completions go through the queue, behind them */
    struct jg_compaction compaction;

    struct jg_unacked unacked; /* producer */

    struct jg_offsets offsets;   /* consumer */
    struct jg_inflight inflight; /* consumer; holds `current` too */
    struct jg_ending *ending;    /* consumer, completion=api */
    struct jg_run *current;      /* completion by poll: what the application works on; NULL: nothing */
    pthread_t current_thread;    /* who was handed it */
    _Atomic enum jg_completion
        completion; /* JG_COMPLETION_AUTO: cannot be seen (batch calls, a second polling thread) */
    rd_kafka_queue_t *consumer_queue;
    struct jg_holder *holder;   /* NULL: nothing was held yet */
    struct jg_resumer *resumer; /* NULL: it is not ours to run; set before the first message, gone in jg_gate_stop */
    struct jg_told *known;      /* of jg_known: classes with a limit that it has met */
    struct jg_told *guards;     /* see guard.c: topics, and whether its group executes them */
    int64_t renew_every_ms;     /* a third of the shortest TTL of a run or its claim that was seen */
    bool probing;               /* a poll probe is under way */
    unsigned probes;            /* how many were sent */
    rd_kafka_queue_t *echoes;   /* events: tells that a probe lies in the consumer's queue, or did */
    unsigned echoes_due;        /* ... how many were asked for */
    unsigned echoes_heard;
    /* Completion by commit, see following.c. */
    struct jg_offsets unseen_offsets; /* open: what the application got, until it commits it */
    bool follows;                     /* there may be something to commit for it */
    rd_kafka_queue_t *commits;        /* the answers to those commits; the background thread's */
    bool consuming;                   /* consumer: the first governed partition or message was seen */
    bool rebalanced;                  /* the application subscribes: a close will be told by a rebalance */
};

/* Make the gate of a handle that is being created, by its configuration, which may still be changed. NULL: the plugin
 * has nothing to do for this handle (no topics, no group), or out of memory. Thread: the one in rd_kafka_new. */
JG_MUST_USE struct jg_gate *jg_gate_new(const struct jg_rdk *rdk, rd_kafka_t *rk, rd_kafka_conf_t *rk_conf,
                                        const struct jg_conf *conf, const struct jg_error *refused);

/* The handle is being destroyed: end all threads, within about ten seconds. Thread: librdkafka's main thread. */
void jg_gate_stop(struct jg_gate *gate);
/* Free. Thread: the one that destroys the configuration, when librdkafka's threads are gone. False: the gate, and the
 * jg_conf that it borrows, had to be left to an abandoned thread, or to a forked child's copy of locks. */
bool jg_gate_destroy(struct jg_gate *gate);

/* The gate of a handle; NULL: none. Any thread. */
struct jg_gate *jg_gate_of(const rd_kafka_t *rk);

/* The first gate that is wanted, kept alive until jg_gate_exit; NULL: none. `wanted` is called with the list's lock
 * held and must not block. Any thread. */
struct jg_gate *jg_gate_enter(bool (*wanted)(struct jg_gate *gate, void *opaque), void *opaque);
void jg_gate_exit(struct jg_gate *gate);

/* Is the message's topic governed? Any thread; cheap. */
JG_MUST_USE bool jg_gate_governs(const struct jg_gate *gate, const rd_kafka_message_t *rkmessage);

/* A message is being produced to a topic that is not governed. */
void jg_gate_send_untouched(struct jg_gate *gate);

/* A message of a governed topic is being produced. Thread: the application's, inside a produce call. Blocks at most 2 *
 * store.timeout.ms. Afterwards the message is ready to send, or was made to fail. */
void jg_gate_send(struct jg_gate *gate, rd_kafka_message_t *rkmessage, int64_t now_ms);

/* The message was acknowledged or failed. Thread: librdkafka's, maybe with its locks held; never blocks. */
void jg_gate_acknowledged(struct jg_gate *gate, rd_kafka_message_t *rkmessage, int64_t now_ms);

/* A message of a topic that is not governed is about to be handed to the application. Thread: its poller. */
void jg_gate_consume_untouched(struct jg_gate *gate, rd_kafka_message_t *rkmessage);

/* A message of a governed topic is about to be handed to the application. Thread: the application's poller. Blocks at
 * most store.wait.ms + 2 * store.timeout.ms. Afterwards the message is as it was (run it), or has become an error. */
void jg_gate_consume(struct jg_gate *gate, rd_kafka_message_t *rkmessage, int64_t now_ms);

/* A governed partition was assigned, or its first message is there: from now on there is a background thread, and a
 * resumer that looks whether held jobs are served. Once; cheap then. Thread: the application's poller. */
void jg_gate_start_consuming(struct jg_gate *gate);

/* Offsets were committed, or (`err`, or the error of a partition) were not. Thread: librdkafka's; never blocks. */
void jg_gate_committed(struct jg_gate *gate, const rd_kafka_topic_partition_list_t *offsets, rd_kafka_resp_err_t err,
                       int64_t now_ms);

/* The rebalance callback of a consumer whose offsets or runs we look after: ends what has to end, then calls the
 * application's own callback, or does what librdkafka does without one. Thread: the application's poller. */
void jg_gate_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions,
                       void *opaque);

/* True when the message's own produce call just failed on this thread (then its headers must not be read: it may be the
 * application's struct). `jid`: of the claim that it had; empty when it had none. */
JG_MUST_USE bool jg_send_failed_here(const struct jg_gate *gate, const rd_kafka_message_t *rkmessage, char *jid);

/* --- between gate*.c, probe.c, ask.c and worker.c --- */

/* The run's end was told to the store, which answered `op` (JG_OP_COMPLETE): it is finished, or enqueued again, and
 * finished when that is acknowledged. Waits so long for it; 0: not at all. Takes ownership of the run. JG_OK: finished,
 * or on its way (wait_ms 0). JG_EHOST: on its way. JG_ENOMEM: it cannot be enqueued again, and its offset stays open;
 * that was said. Any thread. */
enum jg_err jg_gate_completed(struct jg_gate *gate, struct jg_run *run, const struct jg_op *op, int64_t wait_ms);

/* The message at this position is finished, and all that came of it is acknowledged. Any thread. */
void jg_gate_finish_offset(struct jg_gate *gate, const char *topic, int32_t partition, int64_t offset);

/* In again.c: the half of it that enqueues. */
JG_MUST_USE enum jg_err jg_again(struct jg_gate *gate, struct jg_run *run, const struct jg_op *op, int64_t wait_ms);
/* A gauge was absent, or no number: says so. */
void jg_again_tell_gauge(struct jg_gate *gate, const char *class_name, const struct jg_op *op);

/* The application has come back on this thread: take what it worked on, which is done. NULL: nothing, or it cannot be
 * told (another thread: from then on completion cannot be seen). Ownership goes to the caller. `how`: for the log. */
JG_MUST_USE struct jg_run *jg_gate_come_back(struct jg_gate *gate, const char *how);

/* In following.c: commit, and wait at most `timeout_ms` for the answer. True: it is done. */
bool jg_following_commit(struct jg_gate *gate, const rd_kafka_topic_partition_list_t *list, int64_t timeout_ms);

/* Take `current` out. Under the lock. */
struct jg_run *jg_gate_take_current(struct jg_gate *gate);

/* Another thread polls while `run` is open: whether it ended cannot be told. Takes ownership. */
void jg_gate_end_unseen(struct jg_gate *gate, struct jg_run *run, const char *how);

/* The same when the consumer is being closed: jobgate.close decides, and it does not matter which thread closes. */
JG_MUST_USE struct jg_run *jg_gate_take_at_close(struct jg_gate *gate);

/* `run` has ended and the store knows, or need not know: its offset is finished, and stored where that is ours to do.
 * Takes ownership. Not under the lock. */
void jg_gate_finish(struct jg_gate *gate, struct jg_run *run);

/* `run` has ended: tell the store in the background if it has to know, then finish it. Takes ownership. */
void jg_gate_end_later(struct jg_gate *gate, struct jg_run *run, int64_t now_ms);

/* Take storing offsets over from librdkafka, where it would store them as messages are handed out. True: just now. */
bool jg_storing_take(struct jg_gate *gate);
/* Leave it to librdkafka again: only it knows which messages of a batch call the application got. */
void jg_storing_give_back(struct jg_gate *gate);
/* Store the safe offset of a partition if it moved and is ours to store. Not under the lock. */
void jg_storing_store_safe(struct jg_gate *gate, const char *topic, int32_t partition);
/* Store a message's own offset, if that is ours to do. `next`: past it; else before it, so that it comes again. */
void jg_storing_store(struct jg_gate *gate, const rd_kafka_message_t *rkmessage, bool next);

/* Completion by commit: commit past what the application never sees (skipped, held), behind its own commits. */
/* A message comes in; it is not for the application. Not under the lock. */
void jg_following_begin(struct jg_gate *gate, const char *topic, int32_t partition, int64_t offset);
void jg_following_finish(struct jg_gate *gate, const char *topic, int32_t partition, int64_t offset);
/* Commit what can be. Thread: the background thread. */
void jg_following_tend(struct jg_gate *gate);
/* The same, at once, for partitions that go. Thread: the application's poller. Blocks at most a second. */
void jg_following_flush(struct jg_gate *gate, const rd_kafka_topic_partition_list_t *partitions);
/* Thread: the background thread, before it ends. */
void jg_following_end(struct jg_gate *gate);

/* Send a poll probe for the current job, if there is one without. Not under the lock. */
void jg_probe_send(struct jg_gate *gate);
/* Look whether one was answered, where no callback tells, or send it. Thread: the background thread. */
void jg_probe_tend(struct jg_gate *gate);

/* In rebalance.c: these partitions went. Not under the lock. */
void jg_gate_revoked(struct jg_gate *gate, const rd_kafka_topic_partition_list_t *partitions);

/* Consumers that take events instead of callbacks. */
/* A message is about to be handed to it. Thread: the application's poller. */
void jg_callbackless_look(struct jg_gate *gate, enum jg_rdk_call call, int64_t now_ms);
/* A request was sent. Thread: librdkafka's; never blocks. */
void jg_callbackless_sent(struct jg_gate *gate, int16_t api_key);
/* Thread: the background thread. */
void jg_callbackless_tend(struct jg_gate *gate);
/* It has closed. Thread: librdkafka's main thread; blocks at most twice store.timeout.ms. */
void jg_callbackless_end(struct jg_gate *gate);

/* One attempt at the store. Counts and logs a failure. */
JG_MUST_USE enum jg_err jg_ask(struct jg_gate *gate, struct jg_op *ops, size_t count);
/* Attempts until the store answers, at most store.wait.ms. */
JG_MUST_USE enum jg_err jg_ask_patiently(struct jg_gate *gate, struct jg_op *ops, size_t count);

/* In telling.c: something happened to a job. Any thread; never blocks. */
void jg_tell(struct jg_gate *gate, const struct jg_event *event);

/* What a message is. Any thread. */
JG_MUST_USE enum jg_identified jg_gate_identify(const struct jg_gate *gate, const rd_kafka_message_t *rkmessage,
                                                const char *topic, struct jg_identity *identity);
/* The key of its limit, as jg_identify_limit_key. Any thread. */
JG_MUST_USE bool jg_gate_limit_key(const struct jg_gate *gate, const rd_kafka_message_t *rkmessage, const char *topic,
                                   const char *class_name, const struct jg_selector *selector,
                                   struct jg_identity *identity, char *key);

/* Start the background thread, once. Cheap when it runs. */
void jg_worker_start(struct jg_gate *gate);
/* Hand an operation to it. True: it owns `pending` now. False: it does not run. Never blocks. */
JG_MUST_USE bool jg_worker_push(struct jg_gate *gate, struct jg_pending *pending);
/* Hand a copy of `op` to it, to be tried until `give_up_ms` (monotonic). What cannot be taken is dropped. Never blocks.
 */
void jg_worker_push_op(struct jg_gate *gate, const struct jg_op *op, int64_t give_up_ms);
/* Wait until no completion is waiting or under way, at most `timeout_ms`. */
void jg_worker_wait_completions(struct jg_gate *gate, int64_t timeout_ms);
/* Take over what waits for the background thread when there is a completion in it, to ask the store of it along with
 * something else: a thread that wants a slot needs no other to give back the one it had. The caller asks the store of
 * ops[0..n), before its own, and hands all back with jg_worker_carried(). Room for JG_ALONG_MOST. 0: there is nothing,
 * or too much, or it is under way. Never blocks. */
JG_MUST_USE size_t jg_worker_take_over(struct jg_gate *gate, struct jg_pending **batch, struct jg_op *ops);
/* The store was asked of what was taken over, at `now_ms` (monotonic). */
void jg_worker_carried(struct jg_gate *gate, struct jg_pending **batch, const struct jg_op *ops, size_t count,
                       int64_t now_ms);
/* End it, by deadline_ms: what waits is tried once more. False: it hangs in the host's code and was abandoned. */
JG_MUST_USE bool jg_worker_stop(struct jg_gate *gate, int64_t deadline_ms);

#endif
