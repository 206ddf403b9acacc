/* SPDX-License-Identifier: Apache-2.0 */
/* Store operations that wait: claims until the broker acknowledges their job (the unacked table), and confirmations,
 * releases and completions until the background thread has carried them out (a queue). Pure; no lock of its own. */
#ifndef JG_PLUGIN_PENDING_H
#define JG_PLUGIN_PENDING_H

#include "plugin/inflight.h"

struct jg_pending {
    struct jg_pending *next, *prev; /* in the queue, or in the unacked table's order of keeping alive */
    struct jg_pending *chain;       /* in a bucket of the unacked table */
    struct jg_op op;                /* its texts are owned by this struct, or by `run` */
    struct jg_run *run;             /* JG_OP_COMPLETE: the run that ended; owned; else NULL */
    const char *topic;              /* JG_OP_FREE: of the message that said so, whose offset waits for it; NULL: none */
    int32_t partition;
    int64_t offset;
    int64_t give_up_ms; /* monotonic: dropped, and counted, after that */
    int64_t kept_ms;    /* monotonic: when its claim was last known to be alive */
    char text[];
};

/* A copy of `op` with its texts. NULL: out of memory. */
JG_MUST_USE struct jg_pending *jg_pending_new(const struct jg_op *op);
/* The completion of `run`, which the result owns. NULL: out of memory, `run` still the caller's. */
JG_MUST_USE struct jg_pending *jg_pending_complete(struct jg_run *run);
void jg_pending_destroy(struct jg_pending *pending);

/* Does a job that comes up next wait for it, for a moment? It may give something back that the job needs. */
static inline bool
jg_pending_frees(const struct jg_pending *pending)
{
    return pending->run || pending->op.kind == JG_OP_FREE;
}

struct jg_queue {
    struct jg_pending *head, *tail;
    size_t count;
};

void jg_queue_push(struct jg_queue *queue, struct jg_pending *pending);
struct jg_pending *jg_queue_pop(struct jg_queue *queue); /* NULL: empty */
void jg_queue_clear(struct jg_queue *queue);

/* Claims whose job is with the producer, by jid. Ordered by `kept_ms`, oldest first. */
struct jg_unacked {
    struct jg_pending **buckets;
    size_t bucket_count; /* a power of two */
    struct jg_queue order;
    int64_t keep_every_ms; /* a third of the shortest provisional time seen */
};

/* Takes ownership. JG_ENOMEM: still the caller's. */
JG_MUST_USE enum jg_err jg_unacked_add(struct jg_unacked *unacked, struct jg_pending *pending);
/* Gives ownership; NULL: not there. */
JG_MUST_USE struct jg_pending *jg_unacked_take(struct jg_unacked *unacked, const char *jid);
void jg_unacked_clear(struct jg_unacked *unacked);

/* The next claim that has to be kept alive: a KEEP operation for it (owned by the caller), moved to the end. Claims
 * past `give_up_ms` are dropped and counted in *dropped. NULL: none is due (or out of memory). A claim is due when a
 * third of the shortest provisional time has passed since it was last kept. */
JG_MUST_USE struct jg_pending *jg_unacked_due(struct jg_unacked *unacked, int64_t now_ms, size_t *dropped);

#endif
