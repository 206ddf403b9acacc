/* SPDX-License-Identifier: Apache-2.0 */
/* The store: small coordination state, behind one interface. redis/ and memory/ implement it with the same semantics;
 * the state table that they implement is in plugin/job.h. Losing the store must never lose a job.
 *
 * Every operation is atomic, takes its time from the store, and is safe to repeat with the same arguments. */
#ifndef JG_CONNECTORS_STORE_H
#define JG_CONNECTORS_STORE_H

#include "base/err.h"
#include "base/log.h"
#include "plugin/job.h"

enum jg_op_kind {
    JG_OP_CLAIM,    /* producer: does this job stand for its key? */
    JG_OP_CONFIRM,  /* the broker acknowledged it */
    JG_OP_KEEP,     /* still unacknowledged: keep the provisional claim */
    JG_OP_RELEASE,  /* delivery failed: pass the claim on, or end it */
    JG_OP_ADMIT,    /* consumer: may this job start? */
    JG_OP_RENEW,    /* it still runs (until_executed) */
    JG_OP_COMPLETE, /* it ended (until_executed) */
    JG_OP_KINDS
};

#define JG_MEMBER_MAX_BYTES 512

/* One operation: inputs that the caller fills in (borrowed during the call), then outputs. Unused inputs stay zero. */
struct jg_op {
    enum jg_op_kind kind;

    const char *class_name;
    const char *key; /* JG_KEY_CHARS hex digits */
    const char *jid;
    enum jg_dedup dedup;
    int64_t dedup_ttl_ms;
    int64_t dedup_provisional_ms;
    enum jg_dup_action action; /* CLAIM: what would be done with a duplicate, for the record */
    const char *candidate_of;  /* ADMIT: the jid whose candidate this is; NULL: none */
    const char *member;        /* ADMIT, RENEW, COMPLETE: `jid@instance@topic/partition/offset`, names this run */
    int64_t run_ttl_ms;        /* ADMIT, RENEW */
    int64_t epoch_in;          /* RENEW: the epoch that ADMIT answered with */

    /* JG_OK, or JG_ESTORE: nothing was learned, the outputs are untouched; it may have taken effect, or do so yet. */
    enum jg_err err;
    enum jg_claimed claimed;            /* CLAIM */
    enum jg_claim_state original_state; /* CLAIM: of the claim in the way */
    char original[JG_JID_CHARS + 1];    /* CLAIM: duplicate or candidate of; ADMIT with SKIP: duplicate of */
    int64_t original_since_ms;          /* CLAIM: Unix time of that claim */
    enum jg_verdict verdict;            /* ADMIT: JG_RUN or JG_SKIP */
    int64_t epoch;                      /* ADMIT; RENEW: the next one's epoch_in */
    /* CONFIRM, KEEP, RELEASE, COMPLETE: it was the owner's (or the candidate's), and took effect. RENEW: the run is a
     * member of `run`; else it had expired, and is over. */
    bool changed;
};

struct jg_store;

struct jg_store_options {
    const char *url; /* redis://[user[:password]@]host[:port][/db], redis+unix:///path[?db=N] (userinfo as above),
                        memory:[name] */
    const char *name_space;
    int64_t timeout_ms;       /* bound on connecting and on one exchange with the server */
    const struct jg_log *log; /* must outlive the store */
};

/* Check the URL and make a store. Connects to nothing yet. JG_EINVAL: `error` says what is wrong and never holds the
 * password. `memory:NAME` opened twice in a process is one store. */
JG_MUST_USE enum jg_err jg_store_open(const struct jg_store_options *options, struct jg_store **out,
                                      struct jg_error *error);

/* Close. No other thread may be inside a call. After a fork, in the child: closes descriptors, sends nothing. */
void jg_store_close(struct jg_store *store);

/* Carry out `count` operations in order, in as few round trips as can be (one, usually); concurrent callers share them.
 * Each op's `err` is set. Returns JG_OK when every one is JG_OK, else the first error. JG_EINVAL: an operation lacks
 * what its kind needs, a mistake of the caller's; none was carried out. Thread: any. Blocks at most 2 * timeout_ms;
 * returns at once while the circuit breaker is open. */
JG_MUST_USE enum jg_err jg_store_exec(struct jg_store *store, struct jg_op *ops, size_t count);

/* Wait until the store answers again (or is believed to), at most `timeout_ms`. True: try again now. Any thread. */
bool jg_store_wait(struct jg_store *store, int64_t timeout_ms);

/* Breaker closed? For status and logs. Any thread, never blocks. */
bool jg_store_is_up(struct jg_store *store);

/* Called every second or so by the instance's background thread: while the breaker is open, tries to reconnect (with
 * backoff, bounded by timeout_ms) and closes it when the server answers. */
void jg_store_tend(struct jg_store *store);

/* --- what the `jobgate` command reads; none of it is on a job's path --- */

struct jg_class_report {
    int64_t claims;  /* counted by walking: slow on a large store */
    int64_t running; /* live members of `run` */
    struct {
        const char *name; /* static: claimed, duplicates, candidates, confirmed, passed, released, admitted, skipped,
                             completed */
        int64_t value;
    } counters[16];
    size_t counter_count;
};

struct jg_claim_report {
    enum jg_claim_state state; /* JG_CLAIM_NONE: no claim */
    bool old_epoch;            /* written before the store lost or rewound its data: counts as provisional */
    enum jg_dedup dedup;
    char owner[JG_JID_CHARS + 1];
    int64_t since_ms; /* Unix time */
    int64_t ttl_ms;   /* what is left */
    int64_t duplicates;
    char member[JG_MEMBER_MAX_BYTES]; /* running: which run; else empty */
    char newest_candidate[JG_JID_CHARS + 1];
    char newest_acked_candidate[JG_JID_CHARS + 1];
};

struct jg_duplicate_report {
    char jid[JG_JID_CHARS + 1];
    char original[JG_JID_CHARS + 1];
    int64_t at_ms; /* Unix time */
    enum jg_claim_state original_state;
    enum jg_dup_action action;
    bool candidate; /* sent as a candidate, since its original's claim was provisional */
};

/* The classes that the namespace has seen: calls `each` with each name. */
JG_MUST_USE enum jg_err jg_store_classes(struct jg_store *store, void (*each)(void *opaque, const char *class_name),
                                         void *opaque);
JG_MUST_USE enum jg_err jg_store_class_report(struct jg_store *store, const char *class_name,
                                              struct jg_class_report *out);
JG_MUST_USE enum jg_err jg_store_claim_report(struct jg_store *store, const char *class_name, const char *key,
                                              struct jg_claim_report *out);
/* Did the claim of `jid` have candidates and end by its job's run? */
JG_MUST_USE enum jg_err jg_store_was(struct jg_store *store, const char *class_name, const char *jid, bool *out);
/* The last 100 duplicates of a class, newest first. */
JG_MUST_USE enum jg_err jg_store_duplicates(struct jg_store *store, const char *class_name,
                                            void (*each)(void *opaque, const struct jg_duplicate_report *duplicate),
                                            void *opaque);

#endif
