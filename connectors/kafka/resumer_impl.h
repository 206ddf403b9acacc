/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the resumer share. All of it belongs to the resumer's thread, but for what stands under `lock`. */
#ifndef JG_CONNECTORS_KAFKA_RESUMER_IMPL_H
#define JG_CONNECTORS_KAFKA_RESUMER_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "connectors/kafka/lanes.h"
#include "connectors/kafka/own.h"
#include "connectors/kafka/pace.h"
#include "connectors/kafka/resumer.h"
#include "plugin/stamp.h"

#define JG_RESUME_MOST 500    /* jobs in one transaction */
#define JG_RESUME_ASK_MS 1000 /* the safety net: what no wake-up told */

/* What is carried over of a held job. In memory for the first few of each lane. */
struct jg_load {
    struct jg_stamp stamp;       /* not filled when the job is foreign */
    rd_kafka_headers_t *headers; /* owned; NULL: none */
    const void *key, *payload;   /* behind this struct; NULL as in the message */
    size_t key_bytes, payload_bytes;
};

struct jg_held_partition {
    struct jg_held_topic *topic;
    struct jg_row *row;
    int32_t number;
    rd_kafka_queue_t *queue;
    int64_t deleted; /* records before it were asked to be deleted */
    bool moved;      /* by the transaction that is on its way */
};

struct jg_held_topic {
    struct jg_held_topic *next_topic;
    char *name;
    char *origin;
    int origin_partitions;
    char class_name[JG_CLASS_MAX_BYTES + 1]; /* as its records say; empty: none seen yet */
    struct jg_held_partition *partitions;
    int partition_count;
    struct jg_lanes lanes;
    int64_t per_key;  /* jobs of one limit.key that may run, as last told; 0: not known, or there is none */
    int64_t window;   /* hold.window; 0: not looked up yet */
    bool seen;        /* in the last look at the cluster */
    bool dead_ready;  /* <topic>.dead is there */
    int64_t bury_ms;  /* monotonic: something could not be buried; not before then */
    bool ask;         /* a ticket may be had: something has changed */
    int64_t due_ms;   /* monotonic: ask then in any case */
    int64_t retry_ms; /* monotonic: something failed; not before then */
    int64_t sync_ms;  /* monotonic: when its settings were last told; 0: never */
    struct jg_override override;
    int64_t max_age_ms; /* hold.max.age.ms as last told */
    struct jg_pace pace;
};

/* One job on its way, in a transaction. */
struct jg_transfer {
    struct jg_held_partition *partition;
    struct jg_entry *entry;
    int32_t to_partition;
    int64_t to_offset; /* -1: not delivered */
    rd_kafka_resp_err_t err;
};

/* What is asked for in one take, and what the answer was. */
struct jg_asked {
    struct jg_entry *entries[JG_RESUME_MOST], *granted[JG_RESUME_MOST];
    char jids[JG_RESUME_MOST][JG_JID_CHARS + 1];
    const char *items[JG_RESUME_MOST]; /* the jids */
    const char *limit_keys[JG_RESUME_MOST];
    bool follow_ups[JG_RESUME_MOST];
    unsigned char grants[JG_RESUME_MOST];
    int32_t busy[JG_OP_BUSY_MOST];
    struct jg_transfer missing[JG_RESUME_MOST];
    size_t count, granted_count;
};

/* Reads records again whose load is wanted and not in memory. */
struct jg_again {
    rd_kafka_t *consumer;                      /* NULL: none was needed yet */
    const struct jg_held_partition *partition; /* which it reads now; NULL: none */
    rd_kafka_queue_t *queue;
    int64_t next; /* the offset that it reads next */
};

struct jg_resumer {
    struct jg_resumer_options options;
    struct jg_own own;
    char *group;    /* `<group>.jobgate` */
    char *identity; /* transactional.id */
    pthread_t thread;
    int wake_fd; /* eventfd: Kafka has something, or somebody gave notice */
    _Atomic bool stopping;
    _Atomic bool joined;      /* somebody waits for the thread to end */
    _Atomic int64_t until_ms; /* of `own` */
    _Atomic bool look;        /* at the cluster's topics, soon */

    pthread_mutex_t lock;
    struct jg_resumer_state state;
    struct jg_resumer_topic *notes; /* owned */
    size_t note_count;

    struct jg_histogram took; /* transactions; any thread */

    /* While it leads. */
    rd_kafka_t *producer, *consumer;
    struct jg_watch *watch;
    struct jg_held_topic *topics;
    int partition_count;
    int64_t generation;
    /* Monotonic; when ... */
    int64_t led_ms;       /* the lease was last renewed */
    int64_t looked_ms;    /* the cluster was looked at */
    int64_t guarded_ms;   /* it was asked who executes the origins */
    int64_t refreshed_ms; /* all offsets were committed */
    int64_t cleaned_ms;   /* tickets were looked at */
    int64_t noted_ms;     /* `state` was brought up to date */
    int64_t apart_ms;     /* until then: one topic per transaction */

    size_t one_by_one;  /* so many jobs go alone in theirs */
    size_t entry_count; /* of jobs that are known */
    size_t load_count;  /* of jobs whose load is in memory */
    size_t load_bytes;
    bool broken;  /* a record could not be kept: begin anew */
    bool reading; /* there is more to read, at once */
    bool skipped; /* topics that another group executes were left out */
    struct jg_again again;
    rd_kafka_queue_t *answers; /* to requests whose outcome matters little */
    struct jg_transfer transfers[JG_RESUME_MOST];
    size_t transfer_count;
    struct jg_asked asked;
    struct jg_log_rate rate;
};

/* Something failed: counted, told now and then, kept for jg_resumer_state. */
void jg_resumer_complain(struct jg_resumer *resumer, const char *fmt, ...) JG_PRINTF(2, 3);

/* --- heads.c: which holding topics there are, and what waits at their heads --- */

/* Look at the cluster: take up new holding topics, leave those that are gone. */
JG_MUST_USE enum jg_err jg_heads_look(struct jg_resumer *resumer, struct jg_error *error);
/* Read on, without waiting, as far as the window goes. */
void jg_heads_fill(struct jg_resumer *resumer);
/* Another group executes the topic's origin: forget it. The caller's pointer to it is gone. */
void jg_heads_leave(struct jg_resumer *resumer, struct jg_held_topic *topic);
/* The job is resumed. */
void jg_heads_remove(struct jg_resumer *resumer, struct jg_held_topic *topic, struct jg_entry *entry);
/* How many are held in the topic; -1: not known yet. */
int64_t jg_heads_count(struct jg_resumer *resumer, const struct jg_held_topic *topic);
/* Since when the job that is held longest is; 0: none, or not known. */
int64_t jg_heads_oldest(const struct jg_held_topic *topic);
void jg_heads_clear(struct jg_resumer *resumer);

/* --- loads.c: what is carried over --- */

/* Keep what is carried over of the job, a copy: a message holds on to all that came with it from the broker. `stamp` is
 * as jg_load_read_stamp filled it in. False: out of memory. */
JG_MUST_USE bool jg_load_add(struct jg_resumer *resumer, struct jg_entry *entry, const rd_kafka_message_t *rkmessage,
                             const struct jg_stamp *stamp);
/* The entry's, if it has one. */
void jg_load_drop(struct jg_resumer *resumer, struct jg_entry *entry);
/* Is there room for one more of that lane? */
bool jg_load_fits(const struct jg_resumer *resumer, const struct jg_lane *lane);
/* Is the record one that jobgate wrote for this very topic? Fills in its stamp. */
JG_MUST_USE bool jg_load_read_stamp(const struct jg_resumer *resumer, struct jg_held_topic *topic,
                                    const rd_kafka_message_t *rkmessage, struct jg_stamp *out);
/* Have the loads of these in memory, read again within a bounded time. Some may not be after that. */
void jg_loads_again(struct jg_resumer *resumer, struct jg_transfer *wanted, size_t count);
/* The topic goes (NULL: all do). */
void jg_loads_leave(struct jg_resumer *resumer, const struct jg_held_topic *topic);

/* --- transfer.c --- */

enum jg_transferred {
    JG_TRANSFERRED,    /* committed */
    JG_TRANSFER_AGAIN, /* aborted: all is as it was, or a job was found to be doomed */
    JG_TRANSFER_BROKEN /* not known, or another resumer leads: begin anew */
};
/* Carry out `transfers` in one transaction. */
JG_MUST_USE enum jg_transferred jg_transfer_all(struct jg_resumer *resumer);

/* --- noting.c: for who looks on --- */

void jg_resumer_note_if_due(struct jg_resumer *resumer, int64_t now_ms);
/* It leads no more. */
void jg_resumer_forget_notes(struct jg_resumer *resumer);
/* jg_transfer_all, counted. */
JG_MUST_USE enum jg_transferred jg_resumer_transfer(struct jg_resumer *resumer);

/* --- choosing.c --- */

/* Fill `transfers` with what goes next, which may be nothing. */
void jg_resumer_choose(struct jg_resumer *resumer, int64_t now_ms);

/* --- lead.c --- */

/* Tell the store what this process's settings say of the class. False: it did not answer. */
JG_MUST_USE bool jg_resumer_sync(struct jg_resumer *resumer, struct jg_held_topic *topic);

/* Lead until the lease is lost, something breaks, or it is to stop. */
void jg_resumer_lead(struct jg_resumer *resumer);
/* Ask for the lease. True: this resumer leads. *left_ms: until the present leader's time is over; negative: the store
 * does not answer. */
JG_MUST_USE bool jg_resumer_elect(struct jg_resumer *resumer, int64_t *left_ms);
/* Sleep until there is something to do, at most `timeout_ms`. True: the store's watch was woken. */
bool jg_resumer_rest(struct jg_resumer *resumer, int64_t timeout_ms);

/* --- clean.c: now and then --- */

/* Drop tickets whose jobs the group has passed. */
void jg_clean_tickets(struct jg_resumer *resumer);
/* Tell the store of which keys jobs are held, before it forgets; and of which none is any more. */
void jg_clean_marks(struct jg_resumer *resumer);
void jg_clean_left(struct jg_resumer *resumer);
/* Delete from the holding topics what was resumed. */
void jg_clean_records(struct jg_resumer *resumer);
/* Does another group execute this origin? Says to the store that this one does, when it is its own. JG_ESTORE: nothing
 * was learned. */
JG_MUST_USE enum jg_err jg_clean_elsewhere(struct jg_resumer *resumer, const char *origin, bool *elsewhere);
/* Leave the topics that another group executes by now. */
void jg_clean_guard(struct jg_resumer *resumer);

#endif
