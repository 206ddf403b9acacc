/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that were handed to the application and are not known to have ended. Pure: no I/O, no clock, no lock (the
 * caller's). */
#ifndef JG_PLUGIN_INFLIGHT_H
#define JG_PLUGIN_INFLIGHT_H

#include "base/err.h"
#include "connectors/kafka/deferral.h"
#include "connectors/store.h"

/* One run: a job at a position on this instance. */
struct jg_run {
    struct jg_run *prev, *next; /* in a jg_inflight; order of admission */
    char *topic;                /* owned */
    int32_t partition;
    int64_t offset;

    bool in_store;       /* the store knows this run (until_executed, or gated): its end is told there */
    bool gated;          /* its class has a limit, a lease or a capacity */
    bool revoked;        /* its partition was taken away, and its end may still be seen */
    bool seen_out;       /* jobgate no longer renews it: overdue, or revoked and not gated */
    int64_t seen_out_ms; /* monotonic: since then, or since it was revoked */
    char jid[JG_JID_CHARS + 1];
    char key[JG_KEY_CHARS + 1];
    char limit_key[JG_KEY_CHARS + 1]; /* of its limit by key; empty: it has none */
    int64_t per_key;
    char class_name[JG_CLASS_MAX_BYTES + 1];
    char member[JG_MEMBER_MAX_BYTES];
    enum jg_dedup dedup;
    int64_t dedup_ttl_ms;
    int64_t dedup_provisional_ms; /* of a candidate that its claim may pass to */
    int64_t run_ttl_ms;           /* without a heartbeat for this long it is over */
    int64_t epoch;
    int64_t started_ms; /* monotonic */

    enum jg_lease lease;
    int64_t token;         /* the fencing token of its lease; 0: it has none */
    int64_t asked_ms;      /* monotonic: when the store was last asked of it, before the answer */
    int64_t held_until_ms; /* monotonic: so long its lease and its slot are surely its own */
    bool unasked;          /* it runs although the store did not answer, which is told later */
    bool lost;             /* they are another's now, or may be */

    int64_t capacity;
    const char *load_key, *work_key; /* borrowed from the settings; NULL: none */
    int64_t slot_ttl_ms;             /* it takes a capacity slot; 0: its class has none */
    int64_t retry_ms;                /* the first backoff */
    int64_t done_ttl_ms;
    bool follows_up; /* its class has dedup.follow.up */
    bool failed;     /* the application says so */
    bool settled;    /* the store has said that it does not go on */

    /* What it is enqueued again with; NULL: it never is. Owned. */
    struct jg_deferral *copy;
    const struct jg_rdk *rdk; /* of the copy */
    int64_t time_ms;          /* the message's own timestamp; negative: none */
};

struct jg_inflight {
    struct jg_run *head, *tail;
    size_t count;
};

/* A new run, in no list. NULL: out of memory. Owned by the caller until it is added. */
JG_MUST_USE struct jg_run *jg_run_new(const char *topic, int32_t partition, int64_t offset);
void jg_run_destroy(struct jg_run *run); /* NULL is fine */
/* A list linked by `next`. Returns how many they were. */
size_t jg_run_destroy_all(struct jg_run *run);

/* Takes ownership of `run`. */
void jg_inflight_add(struct jg_inflight *inflight, struct jg_run *run);
/* Gives ownership back. */
void jg_inflight_remove(struct jg_inflight *inflight, struct jg_run *run);
void jg_inflight_clear(struct jg_inflight *inflight);

/* Take out every run of a partition at an offset below `end` and at or above `begin`; a list linked by `next`, owned by
 * the caller. */
JG_MUST_USE struct jg_run *jg_inflight_take(struct jg_inflight *inflight, const char *topic, int32_t partition,
                                            int64_t begin, int64_t end);

/* May its job have to be enqueued again at its end? */
static inline bool
jg_run_may_go_on(const struct jg_run *run)
{
    return run->failed || run->capacity > 0;
}

/* The store operations of a run's life, ready to be carried out. Borrow the run. */
struct jg_op jg_run_admit_op(const struct jg_run *run);
struct jg_op jg_run_complete_op(const struct jg_run *run);
/* It did not end, but gives back what it holds: it is delivered again. */
struct jg_op jg_run_leave_op(const struct jg_run *run);
struct jg_op jg_run_renew_op(const struct jg_run *run);

#endif
