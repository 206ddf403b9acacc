/* SPDX-License-Identifier: Apache-2.0 */
/* What waits in a holding topic, as far as the resumer looks, and in which order it asks for it. Pure.
 *
 * A *row* is what is known of a partition: its jobs in the order of their offsets, from the first that was not resumed
 * on, and which of those behind it were. A *lane* is a queue of jobs of one row that wait for the same thing: first in,
 * first out, so only what stands at its front is asked for. Jobs that wait for nothing but their class's room are in
 * the row's plain lane. Those that wait for something of their own key as well are in a lane of that key; a job in
 * backoff has one of its own.
 *
 * Of each key at most as many jobs as may run of it are asked for at once. The lanes stand in a queue, those whose jobs
 * were found to have to wait for their key longest ago first. So each lane has its turn, however many there are and
 * however often something wakes the resumer. What is asked for at once goes by how soon it can start where it comes
 * back to, and then by how long it is held. */
#ifndef JG_CONNECTORS_KAFKA_LANES_H
#define JG_CONNECTORS_KAFKA_LANES_H

#include "connectors/kafka/passed.h"
#include "plugin/job.h"

#define JG_LANES_JID_BYTES 32

struct jg_lane;
struct jg_row;
struct jg_load; /* what is carried over of a job; the caller's */

/* A held job. */
struct jg_entry {
    int64_t offset;
    int64_t held_since_ms; /* Unix time */
    struct jg_lane *lane;
    struct jg_entry *next, *previous; /* in its lane */
    struct jg_load *load;             /* NULL: not in memory. Set by jg_lanes_load */
    const char *doomed;               /* why it goes to <topic>.dead; static; NULL: it does not */
    unsigned char jid[JG_LANES_JID_BYTES];
    bool follow_up; /* held as one */
    bool foreign;   /* not of jobgate's making, or not for this topic: it has no jid */
    bool going;     /* in the transaction that is on its way */
};

/* A key that jobs wait for: of a limit (a value of limit.key), or a job key where leases are theirs. */
struct jg_lane_key {
    struct jg_lane_key *same_hash;
    size_t lanes;
    int64_t take; /* the last one in which it was asked for */
    int64_t offers;
    int64_t marked_ms; /* monotonic: when the store was last told that jobs of it are held; 0: never */
    char text[JG_KEY_CHARS + 1];
    bool of_job;
};

struct jg_lane_name {
    char text[JG_KEY_CHARS + 1];
};

struct jg_lane {
    struct jg_row *row;
    struct jg_lane_key *key;                 /* NULL: none */
    struct jg_lane_key *job;                 /* likewise of its job key */
    unsigned char job_key[JG_KEY_CHARS / 2]; /* when by_job_key */
    struct jg_entry *first, *last;
    size_t count, loaded;
    struct jg_lane *before, *behind; /* in the queue */
    struct jg_lane *same_hash;
    int64_t asked;    /* in which wake its front was found to have to wait; 0: in none */
    int64_t due_ms;   /* Unix time: the end of its job's backoff; 0: none */
    size_t sleeps_at; /* in the heap, while it is not queued */
    bool by_job_key, alone, queued;
};

struct jg_row {
    int32_t number;
    struct jg_slot {
        int64_t offset;
        struct jg_entry *entry; /* NULL: it is gone */
    } * slots;                  /* owned; by offset, from `begin` to `end` */
    size_t begin, end, capacity;
    size_t count;               /* of entries */
    size_t keyed;               /* of those, in lanes that are not plain and not of one job alone */
    struct jg_lane plain;       /* never queued */
    struct jg_lane doomed;      /* likewise: what cannot go back */
    struct jg_passed gone;      /* resumed, behind `next` */
    int64_t next;               /* the first offset that was not resumed; -1: not known */
    int64_t read;               /* behind the last one that was read; -1: none was */
    struct jg_passed gone_then; /* as they will be, when the transaction is committed */
    int64_t next_then;
    bool planned;
    size_t room;             /* bytes that are left for offsets resumed ahead */
    size_t load;             /* jobs of the class that run in the origin's partition, or have come back to it */
    size_t load_then;        /* ... with those that are picked */
    struct jg_entry *cursor; /* while jobs are picked: the next plain one */
    size_t candidate;        /* ... and the next of the others */
};

/* All rows of a holding topic. */
struct jg_lanes {
    struct jg_row *rows; /* owned */
    int row_count;
    size_t count;      /* of entries */
    bool by_job_key;   /* jobs wait for others of their job key: lease=key */
    int64_t wake;      /* counts times that something may have become free */
    int64_t take;      /* counts takes */
    size_t follow_ups; /* of entries */
    size_t left_out;   /* in this take, for want of room in the metadata */
    struct jg_lane *queue, *queue_end;
    struct jg_lane *asked;     /* the first in the queue that was asked in vain since the wake */
    struct jg_lane **sleepers; /* a heap by due_ms */
    size_t sleeper_count, sleeper_capacity;
    struct jg_lane **lane_slots;
    size_t lane_slot_count, lane_count;
    struct jg_lane_key **key_slots;
    size_t key_slot_count, key_count;
    struct jg_lane_name *left; /* keys of which no job is known any more; the store is to be told */
    size_t left_count;
};

JG_MUST_USE bool jg_lanes_init(struct jg_lanes *lanes, int row_count);
/* The caller has freed all loads. */
void jg_lanes_clear(struct jg_lanes *lanes);

/* --- rows.c: a partition --- */

/* As it was committed; takes what is in *gone. */
void jg_row_restore(struct jg_row *row, int64_t next, struct jg_passed *gone);

enum jg_row_read {
    JG_ROW_NEW,  /* a job to be added */
    JG_ROW_GONE, /* it was resumed already */
    JG_ROW_ANEW  /* it is another log than that of the jobs that are known */
};
/* A record of that offset was read: offsets ascend. */
JG_MUST_USE enum jg_row_read jg_row_read(struct jg_row *row, int64_t offset);

/* The first job in its partition. NULL: none is known. */
struct jg_entry *jg_row_first(const struct jg_row *row);
struct jg_entry *jg_row_find(const struct jg_row *row, int64_t offset);
/* At least 1 more: *at is moved on. NULL: that was the last. */
struct jg_entry *jg_row_each(const struct jg_row *row, size_t *at);

/* The job goes with the transaction that is on its way. False: out of memory. */
JG_MUST_USE bool jg_row_plan(struct jg_row *row, struct jg_entry *entry);
/* What to commit when all of them are planned: row->next_then, row->gone_then. */
void jg_row_plan_end(struct jg_row *row);
/* It was committed (those jobs are removed after this), or it was not. */
void jg_row_commit(struct jg_row *row);
void jg_row_abort(struct jg_row *row);

/* Within the row, without its lane. */
JG_MUST_USE bool jg_row_append(struct jg_row *row, struct jg_entry *entry);
void jg_row_remove(struct jg_row *row, const struct jg_entry *entry);

/* --- lanes.c --- */

/* Where a job belongs. */
struct jg_lane_place {
    const char *jid;       /* NULL: it is foreign, and doomed */
    const char *limit_key; /* NULL or empty: none */
    bool by_job_key;       /* it waits for another job of its key, whatever its class has */
    bool follow_up;        /* ... since it is held as a follow-up */
    int64_t held_since_ms;
    int64_t due_ms; /* Unix time: not before; 0: at any time */
};

/* NULL: out of memory. *woken: it has a lane of its own, so it may be asked for. */
JG_MUST_USE struct jg_entry *jg_lanes_add(struct jg_lanes *lanes, struct jg_row *row, int64_t offset,
                                          const struct jg_lane_place *place, bool *woken);
/* Its load is in memory, or (NULL) is no more: that is freed by the caller. */
void jg_lanes_load(struct jg_entry *entry, struct jg_load *load);
/* It is resumed; its load was freed. */
void jg_lanes_remove(struct jg_lanes *lanes, struct jg_entry *entry);
/* It cannot go back. */
void jg_lanes_doom(struct jg_lanes *lanes, struct jg_entry *entry, const char *why);
/* Jobs wait for others of their job key, as was learned: they get lanes of that. */
void jg_lanes_by_job_key(struct jg_lanes *lanes);
/* Up to `most` keys of which the last job went; they are forgotten here. */
size_t jg_lanes_left(struct jg_lanes *lanes, struct jg_lane_name *out, size_t most);
/* Up to `most` keys of jobs that are held, of which the store was not told since `before_ms`; it is told at `now_ms`.
 * *at is 0 at first. 0: those were all. */
size_t jg_lanes_marks(struct jg_lanes *lanes, int64_t before_ms, int64_t now_ms, size_t *at, struct jg_lane_name *out,
                      size_t most);
/* The jid as text; `out` has JG_JID_CHARS + 1 bytes. */
void jg_entry_jid(const struct jg_entry *entry, char *out);
/* "": it has none. */
const char *jg_entry_limit_key(const struct jg_entry *entry);
/* Is there a job of that jid? Walks over all. */
bool jg_lanes_has(const struct jg_lanes *lanes, const char *jid);

/* --- picking.c --- */

/* Something may have become free: all may be asked for again. */
void jg_lanes_wake(struct jg_lanes *lanes);
/* Begin a take: what goes into one transaction and is asked for at once. */
void jg_lanes_begin(struct jg_lanes *lanes);

struct jg_lanes_ask {
    size_t most;
    int64_t per_key;       /* jobs of one limit.key that may run; not above 0: not known */
    bool all;              /* of each key whatever there is */
    int64_t wall_ms;       /* Unix time */
    int64_t held_after_ms; /* what is held since before it is doomed; 0: nothing is */
    const char *too_old;   /* ... with these words */
};
/* Up to `most` jobs to ask for, in the order in which they are to go. */
size_t jg_lanes_pick(struct jg_lanes *lanes, const struct jg_lanes_ask *ask, struct jg_entry **out);
/* May this job go ahead of those that are before it in its partition? Takes the room for that. */
JG_MUST_USE bool jg_lanes_may_pass(struct jg_entry *entry);
/* The answer: this one has to wait for its key. */
void jg_lanes_waits(struct jg_lanes *lanes, struct jg_entry *entry);
/* Are there lanes that nobody has asked for since the wake? */
bool jg_lanes_more(const struct jg_lanes *lanes);
/* When the next backoff ends, Unix ms; 0: none is known. */
int64_t jg_lanes_due_ms(const struct jg_lanes *lanes);

/* For lanes.c: a lane comes, or goes. */
JG_MUST_USE bool jg_lanes_enqueue(struct jg_lanes *lanes, struct jg_lane *lane);
void jg_lanes_dequeue(struct jg_lanes *lanes, struct jg_lane *lane);

#endif
