/* SPDX-License-Identifier: Apache-2.0 */
/* The store: small coordination state, behind one interface. redis/ and memory/ implement it with the same semantics;
 * the state table that they implement is in plugin/job.h. Losing the store must never lose a job.
 *
 * Every operation is atomic, takes its time from the store, and is safe to repeat with the same arguments. */
#ifndef JG_CONNECTORS_STORE_H
#define JG_CONNECTORS_STORE_H

#include "base/err.h"
#include "base/histogram.h"
#include "base/log.h"
#include "plugin/job.h"

enum jg_op_kind {
    JG_OP_CLAIM,    /* producer: does this job stand for its key? */
    JG_OP_CONFIRM,  /* the broker acknowledged it */
    JG_OP_KEEP,     /* still unacknowledged: keep the provisional claim */
    JG_OP_RELEASE,  /* delivery failed: pass the claim on, or end it */
    JG_OP_ADMIT,    /* consumer: may this job start? */
    JG_OP_RENEW,    /* it still runs (until_executed, a limit, a lease or a capacity) */
    JG_OP_COMPLETE, /* it ended, and may have to be enqueued again */
    JG_OP_TAKE,     /* resumer: tickets for the jobs that are held longest */
    JG_OP_PLACE,    /* resumer: ticketed jobs were produced to these positions */
    JG_OP_DROP,     /* resumer: these tickets serve nobody any more */
    JG_OP_BURY,     /* resumer: this job goes to <topic>.dead, its claim and ticket end */
    JG_OP_SYNC,     /* what this instance's settings say of a class, and the override it last saw */
    JG_OP_LEAD,     /* resumer: be, or stay, the only one of a consumer group */
    JG_OP_GROUP,    /* consumer: does this group execute this topic? */
    JG_OP_ANNOUNCE, /* consumer: there is a new holding topic for the group's resumer */
    JG_OP_MARK,     /* resumer: there are held jobs of these keys, or none any more */
    JG_OP_FREE,     /* consumer: what this job has put downstream is done with, its capacity slot is free */
    JG_OP_KINDS
};

#define JG_MEMBER_MAX_BYTES 512

enum jg_gauge {
    JG_GAUGE_FINE,
    JG_GAUGE_ABSENT,    /* the load's key does not exist: it counts as 0 */
    JG_GAUGE_WRONG,     /* the load's key holds no number and no collection: it counts as full */
    JG_GAUGE_WORK_WRONG /* likewise the work's: it counts as work */
};

/* At most so many items in one TAKE, PLACE, DROP or MARK. */
#define JG_OP_MAX_ITEMS 1000
#define JG_OP_BUSY_MOST 512 /* runs and tickets whose partitions TAKE tells */
#define JG_DONE_TTL_MS 600000
#define JG_MARK_MS 600000                   /* that jobs of a key are held is believed for so long */
#define JG_CHAIN_TTL_MS INT64_C(2592000000) /* 30 days: a chain may be held for long */
#define JG_IDLE_CYCLE_MS 1000000000         /* times in jg_op.idle_now begin anew */
#define JG_EPOCH_BEFORE 1                   /* an epoch before all others: they are times */
#define JG_FRESH_ALWAYS 1                   /* epochs are times, and larger */

/* TAKE: what is said of one item. */
enum jg_grant {
    JG_GRANT_NONE, /* the class's bar: limit, capacity, the class's lease, grace, paused. It holds for all that have no
                      ticket */
    JG_GRANT_KEY,  /* something of its own key is taken: another one may go */
    JG_GRANT_YES
};

/* A limit that was set at run time. It goes over the settings' own until it is taken back, and outlives the store's
 * data in the instances that have seen it: of two, the one set later counts. */
struct jg_override {
    bool set;      /* false: the settings' own limit */
    int64_t limit; /* when set */
    int64_t at_ms; /* the store's time of setting it or taking it back; 0: never */
};

/* One operation: inputs that the caller fills in (borrowed during the call), then outputs. Unused inputs stay zero. */
struct jg_op {
    enum jg_op_kind kind;

    const char *class_name; /* LEAD, ANNOUNCE: the consumer group's name; GROUP: the topic's */
    const char *key;        /* JG_KEY_CHARS hex digits */
    const char *jid;
    enum jg_dedup dedup;
    int64_t dedup_ttl_ms;
    int64_t dedup_provisional_ms;
    enum jg_dup_action action; /* CLAIM: what would be done with a duplicate, for the record */
    const char *candidate_of;  /* ADMIT: the jid whose candidate this is; NULL: none */
    bool follows_up;           /* CLAIM, RELEASE, RENEW, COMPLETE: the class's dedup.follow.up */
    int64_t follow_up;  /* CLAIM (an output), CONFIRM, ADMIT, BURY: the number of this follow-up; 0: it is none */
    const char *member; /* ADMIT, RENEW, COMPLETE: `jid@instance@topic/partition/offset`, names this run.
                           SYNC, LEAD: the instance. GROUP: the consumer group that asks */
    int64_t run_ttl_ms; /* ADMIT, RENEW. SYNC: the class's limit.ttl.ms. LEAD, GROUP: how long it holds */
    int64_t epoch_in;   /* RENEW, COMPLETE: the epoch that ADMIT answered with, or RENEW since; 0: not known */

    int64_t limit;           /* ADMIT, SYNC: the settings' own; 0: none (and no slot is taken), negative: paused. An
                                override goes over it, but in ADMIT only when this is not 0, or there is a lease or a
                                capacity */
    bool resumed;            /* ADMIT: the message says that it was resumed, so it may have a ticket */
    bool last_try;           /* ADMIT: with a ticket and no slot the answer is HOLD; else LATER */
    int64_t fresh;           /* ADMIT: the epoch in which nothing ran before: it needs no grace; 0: none that is known,
                              * JG_FRESH_ALWAYS: whichever it is */
    int64_t grace_ms;        /* ADMIT, TAKE: how long after a loss of data nobody gets a slot */
    int64_t hold_max;        /* ADMIT: 0: no bound */
    enum jg_lease lease;     /* ADMIT, RENEW, COMPLETE, SYNC */
    bool lease_skips;        /* ADMIT: with the lease taken a new job is told SKIP; else HOLD */
    int64_t token_in;        /* RENEW: the fencing token that ADMIT answered with */
    int64_t capacity;        /* ADMIT, RENEW, COMPLETE, SYNC: 0: none */
    const char *load_key;    /* ADMIT, COMPLETE, SYNC: of the gauge of load; NULL: none. One that is no number counts as
                              * full, one that does not exist as 0 */
    const char *work_key;    /* COMPLETE, SYNC: of the gauge of work; NULL: work always remains. One that is no number
                              * counts as work */
    bool failed;             /* COMPLETE: it is enqueued again in any case, and waits */
    int64_t slot_ttl_ms;     /* ADMIT, RENEW, COMPLETE, SYNC, with a capacity: the load is how many capacity slots are
                              * taken,     and a run of the class takes one, for so long unless FREE frees it before;
                              * load_key     is     not looked at. 0: the load is a gauge */
    int64_t done_ttl_ms;     /* ADMIT (for a no-op), COMPLETE: remember the end for so long; 0: do not, unless it is
                              * enqueued again: then for JG_DONE_TTL_MS. ADMIT, RENEW, with a lease: likewise that it
                              * started */
    int64_t resume_ahead;    /* SYNC: JG_AUTO: the resumer says it with each TAKE */
    int64_t hold_max_age_ms; /* SYNC */
    struct jg_override override_in; /* SYNC: as this instance last saw it */
    bool override_now;              /* SYNC: set override_in now, whatever its at_ms (the `jobgate` command). Nothing
                                       else is told: the instance has no settings of its own */
    bool leave; /* LEAD: be it no more. GROUP: the topic is nobody's now. COMPLETE: it did not end, and
                   is delivered again: only its slot and its lease are free. MARK: there are none */
    bool force; /* GROUP: take the topic, whoever has it */
    /* TAKE, DROP: jids. MARK: keys of limits, or of jobs where the class has lease=key. PLACE: jid, position, jid,
     * position ... Borrowed; item_count is the length of the list. */
    const char *const *items;
    size_t item_count;
    /* TAKE: of each item, by its index. Borrowed. */
    const char *const *limit_keys; /* of the job's limit by its key, JG_KEY_CHARS hex digits each; NULL, as a whole or
                                      for an item: not known, or the class has none */
    const bool *follow_ups;        /* held as such; NULL: none is */
    unsigned char *grants;         /* the caller's room for item_count answers, enum jg_grant; NULL: not asked for */
    const char *limit_key; /* ADMIT, RENEW, COMPLETE: of the job's limit by its key, JG_KEY_CHARS hex digits; NULL:
                              its class has none */
    int64_t per_key;       /* ADMIT, SYNC: how many jobs of one value of limit.key run at once; 0: the class has none */
    const char *origin;    /* TAKE: the topic whose partitions `busy` tells; NULL: none */
    int32_t *busy;         /* ... the caller's room for JG_OP_BUSY_MOST of them */
    int64_t held_in;       /* TAKE: how many are held, counted in the holding topics; negative: not known */
    int64_t follow_ups_in; /* TAKE: how many of them are held as follow-ups, as far as is known */
    int64_t oldest_held_in; /* TAKE: since when the oldest is, Unix ms; 0: none is, or not known */
    int64_t ahead_in;       /* TAKE: so many tickets more than slots are free, where resume.ahead is auto */

    /* JG_OK, or JG_ESTORE: nothing was learned, the outputs are untouched; it may have taken effect, or do so yet. */
    enum jg_err err;
    enum jg_claimed claimed;            /* CLAIM */
    enum jg_claim_state original_state; /* CLAIM: of the claim in the way */
    char original[JG_JID_CHARS + 1];    /* CLAIM: duplicate or candidate of; ADMIT with SKIP: duplicate of */
    int64_t original_since_ms;          /* CLAIM: Unix time of that claim */
    enum jg_verdict verdict;            /* ADMIT */
    enum jg_reason reason;              /* ADMIT with HOLD, LATER or SKIP (none: a duplicate). TAKE: why nothing is
                                           granted; none: no items, paused, or nobody told anything of the class */
    int64_t token;                      /* ADMIT with RUN: the fencing token of its lease; 0: it has none */
    /* COMPLETE; ADMIT with SKIP, reason done, where it ran: the job has to be enqueued again, under this jid; empty: it
     * has not. Its claim, if it has one, is that jid's already. COMPLETE answers it also when another run has ended
     * the job before (`changed` is false then): that one may have died before it came to it. */
    char next[JG_JID_CHARS + 1];
    bool next_waits;     /* ... in the holding topic, since load is at capacity, or it failed */
    int64_t load_now;    /* ADMIT, TAKE, COMPLETE with a capacity: the load; negative: not read, or no number */
    enum jg_gauge gauge; /* likewise: what was wrong with a gauge */
    int64_t epoch;       /* ADMIT; RENEW: the next one's epoch_in */
    /* CONFIRM, KEEP, RELEASE, COMPLETE, BURY: it was the owner's (or the candidate's), and took effect. MARK: one was
     * new, or went. RENEW: the run is a member of `run`, and holds its lease if it had one; else it had expired, or a
     * larger token was given since, and is over. LEAD: this instance leads. GROUP: the topic is this group's.
     * FREE: there was such a slot. */
    bool changed;
    struct jg_override override; /* SYNC: as it is now */
    int64_t granted;             /* TAKE: so many items have a ticket, or need none; `grants` says which */
    int64_t per_key_now;         /* TAKE: per_key as last told; 0: none */
    int64_t limit_now;           /* TAKE: what counts; 0: none */
    int64_t ahead_now;           /* TAKE: resume.ahead as last told; with JG_AUTO the next ones are filled in */
    int64_t now_ms;              /* TAKE: the store's time */
    int64_t completed_now;       /* TAKE: counted by the class, as in jg_class_report */
    int64_t missed_now;          /* likewise */
    int64_t waited_now_ms;       /* TAKE: the sum, over ticketed jobs that started, from the ticket to the start */
    int64_t idle_now;            /* TAKE: the sum of the times (modulo JG_IDLE_CYCLE_MS) at which they started, less
                                  * those at which slots got free while jobs were held */
    int64_t max_age_now_ms;      /* TAKE: hold.max.age.ms as last told; 0: none */
    int64_t running, tickets;    /* TAKE: after it */
    size_t busy_count;  /* TAKE: of `busy`: the partition of each run, and of each ticket that was placed, in no
                         * order; 0 too when there are more than JG_OP_BUSY_MOST */
    int64_t left_ms;    /* LEAD: until the present leader's time is over; its own when it leads */
    int64_t generation; /* LEAD, ANNOUNCE: counts announcements */
    char other[256];    /* LEAD: the instance that leads. GROUP: the group that has the topic; empty: none */
};

/* How SYNC stores, and the scripts are told, that the load is by slots: no gauge's key begins so. */
#define JG_LOAD_SLOTS "//slots"

static inline bool
jg_op_has_slots(const struct jg_op *op)
{
    return op->capacity > 0 && op->slot_ttl_ms > 0;
}

struct jg_store;

/* What is woken by the store: a slot was freed, a limit changed, a holding topic was announced. */
struct jg_watch;

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

/* What this process sees of its store. Any thread, never blocks. */
struct jg_store_meter {
    struct jg_histogram exchanges; /* with the server, of operations; each carries those of several callers at once */
    _Atomic int64_t failures;      /* exchanges and connections */
};
const struct jg_store_meter *jg_store_meter(const struct jg_store *store);

/* Called every second or so by the instance's background thread: while the breaker is open, tries to reconnect (with
 * backoff, bounded by timeout_ms) and closes it when the server answers. */
void jg_store_tend(struct jg_store *store);

/* Watch the namespace, on a connection of its own (Redis: pub/sub). JG_ESTORE: try again later. Blocks at most
 * timeout_ms. Thread: any; the watch belongs to one. */
JG_MUST_USE enum jg_err jg_store_watch(struct jg_store *store, struct jg_watch **out);
/* To poll for reading. */
int jg_watch_fd(const struct jg_watch *watch);
/* Read what has come, without waiting. `woken`: anything has. JG_ESTORE: it is broken; close it, open another, and
 * believe that something was missed. */
JG_MUST_USE enum jg_err jg_watch_read(struct jg_watch *watch, bool *woken);
void jg_watch_close(struct jg_watch *watch); /* NULL is fine */

/* --- what the resumer reads now and then, and the `jobgate` command; none of it is on a job's path --- */

#define JG_REPORT_INSTANCES 16

struct jg_class_report {
    int64_t claims;                             /* counted by walking: slow on a large store */
    int64_t claim_states[JG_CLAIM_RUNNING + 1]; /* of those, by their state */
    int64_t running;                            /* live members of `run` */
    struct {
        const char *name; /* static: claimed, duplicates, candidates, confirmed, passed, released, admitted, skipped,
                             completed, held, resumed, buried, noops, reenqueued, failed, runs_lost, leases_lost,
                             missed, slots_freed, slots_unknown, follow_ups */
        int64_t value;
    } counters[24];
    size_t counter_count;

    bool told;                   /* some instance has told its settings of the class; else limit is 0 */
    int64_t limit;               /* by the settings, as last told */
    struct jg_override override; /* goes over it */
    int64_t tickets;
    int64_t ahead; /* tickets beyond the free slots; of resume.ahead=auto what the resumer said last */
    bool paced;    /* it is auto */
    int64_t held;
    int64_t oldest_held_ms; /* Unix time; 0: none is held, or not known */
    /* Instances that told their settings within the last minute. */
    struct jg_instance_report {
        char name[64];
        int64_t limit;
        int64_t told_ms; /* Unix time */
    } instances[JG_REPORT_INSTANCES];
    size_t instance_count; /* may be more than are listed */
    bool disagree;         /* not all of them say the same limit */

    enum jg_lease lease;               /* by the settings, as last told */
    int64_t capacity;                  /* likewise; 0: none */
    char load_key[256], work_key[256]; /* empty: none */
    bool slots;                        /* the load is how many capacity slots are taken */
    int64_t slots_until_ms[2]; /* with some taken: when the first of them ends if nobody frees it, and the last; Unix
                                * time */
    int64_t load, work;        /* what they say now; negative: no number; 0 too when the key does not exist */
    enum jg_gauge gauge;
    bool lease_held;     /* the class's own lease has an owner */
    int64_t lease_token; /* the last one that was given for it; 0: none */
    int64_t per_key;     /* jobs of one value of limit.key at once, by the settings as last told; 0: there is none */
    int64_t epoch; /* a time, Unix ms: a larger one says that the store lost data, or is new to the class; 0: none */
};

/* The store itself. Negative numbers: it does not tell. */
struct jg_store_report {
    char run_id[65]; /* of the server process; empty: there is none */
    int64_t now_ms;  /* its time */
    int64_t uptime_s;
    int64_t evicted_keys;                   /* since it runs */
    int64_t memory_bytes, memory_max_bytes; /* 0: no bound */
    bool evicts;                            /* it may forget keys when memory is short */
    int64_t took_us;                        /* all that was asked for this report */
};

/* All that the metrics tell, on one connection. */
struct jg_survey {
    char *const *names; /* of the classes that are asked for; borrowed; NULL: all that the store knows */
    size_t count;
    size_t most;        /* no more of them; 0: no bound */
    bool walk;          /* count claims too: slow on a large store */
    int64_t timeout_ms; /* for all of it; 0: as long as each exchange with the server is in time */
    bool quiet;         /* a failure is not logged */
    /* May have been called for some when the survey fails. */
    void (*each)(void *opaque, const char *class_name, const struct jg_class_report *report);
    void *opaque;
    /* Filled in. */
    struct jg_store_report store;
    size_t known; /* classes, also those that were left out */
};

/* A lease that is held, or was. */
struct jg_lease_report {
    char key[JG_KEY_CHARS + 1];       /* the job key; empty: the class's own */
    char member[JG_MEMBER_MAX_BYTES]; /* the run that holds it: `jid@instance@topic/partition/offset`; empty: none */
    int64_t token;                    /* the last one that was given */
    int64_t expires_ms;               /* Unix time, unless it is renewed; 0: it is free */
};

/* What the store knows of one job, by its jid. */
struct jg_job_report {
    bool ticket;
    char member[JG_MEMBER_MAX_BYTES];       /* a live run of it; empty: none. Found by walking `run` */
    int64_t expires_ms;                     /* ... Unix time, unless it is renewed */
    bool done;                              /* it has ended, and that is remembered */
    char next[JG_JID_CHARS + 1];            /* ... and was enqueued again under this jid; empty: it was not */
    int64_t chain_number;                   /* the highest number of its chain that started; negative: none is known */
    char chain_member[JG_MEMBER_MAX_BYTES]; /* ... and its run; empty: it was held */
    int64_t slot_expires_ms;                /* of its capacity slot, Unix time; 0: it has none */
};

/* A capacity slot that is taken. */
struct jg_slot_report {
    char jid[JG_JID_CHARS + 1];
    int64_t expires_ms; /* Unix time, unless it is freed before */
};

/* What the store knows of one limit's key. */
struct jg_key_report {
    int64_t running; /* live runs */
    int64_t tickets;
    bool marked; /* jobs of it are held: newcomers go behind */
};

struct jg_ticket_report {
    char jid[JG_JID_CHARS + 1];
    int64_t taken_ms;                   /* Unix time */
    char position[JG_MEMBER_MAX_BYTES]; /* topic/partition/offset; empty: not known */
    char limit_key[JG_KEY_CHARS + 1];   /* empty: it has none */
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
    char newest_follow_up[JG_JID_CHARS + 1]; /* that is in the log for sure, and may have to run after the owner */
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
JG_MUST_USE enum jg_err jg_store_survey(struct jg_store *store, struct jg_survey *survey);
JG_MUST_USE enum jg_err jg_store_claim_report(struct jg_store *store, const char *class_name, const char *key,
                                              struct jg_claim_report *out);
/* Did the claim of `jid` have candidates and end by its job's run? */
JG_MUST_USE enum jg_err jg_store_was(struct jg_store *store, const char *class_name, const char *jid, bool *out);
/* The tickets of a class that are out, in no order. */
JG_MUST_USE enum jg_err jg_store_tickets(struct jg_store *store, const char *class_name,
                                         void (*each)(void *opaque, const struct jg_ticket_report *ticket),
                                         void *opaque);
/* The leases of a class, held ones and those whose last token is still known, in no order. Found by walking when the
 * lease is by key: slow on a large store. */
JG_MUST_USE enum jg_err jg_store_leases(struct jg_store *store, const char *class_name,
                                        void (*each)(void *opaque, const struct jg_lease_report *lease), void *opaque);
/* The capacity slots of a class that are taken, the first to end first. */
JG_MUST_USE enum jg_err jg_store_slots(struct jg_store *store, const char *class_name,
                                       void (*each)(void *opaque, const struct jg_slot_report *slot), void *opaque);
JG_MUST_USE enum jg_err jg_store_job_report(struct jg_store *store, const char *class_name, const char *jid,
                                            struct jg_job_report *out);
JG_MUST_USE enum jg_err jg_store_key_report(struct jg_store *store, const char *class_name, const char *limit_key,
                                            struct jg_key_report *out);
/* What can be wrong with a store for our purposes: calls `each` with findings, e.g. `error` true, "maxmemory-policy is
 * allkeys-lru: ... set noeviction". For `jobgate check`. */
JG_MUST_USE enum jg_err jg_store_check(struct jg_store *store,
                                       void (*each)(void *opaque, enum jg_log_level level, const char *text),
                                       void *opaque);
/* The last 100 duplicates of a class, newest first. */
JG_MUST_USE enum jg_err jg_store_duplicates(struct jg_store *store, const char *class_name,
                                            void (*each)(void *opaque, const struct jg_duplicate_report *duplicate),
                                            void *opaque);

#endif
