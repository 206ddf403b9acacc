/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded store: the promises of the real one, for one process. Its insides, for its own files and for tests. */
#ifndef JG_CONNECTORS_MEMORY_MEMORY_H
#define JG_CONNECTORS_MEMORY_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>

#include "connectors/fork.h"
#include "connectors/memory/map.h"
#include "connectors/store_impl.h"

/* Classes, claims, runs and records of one store together. At the bound, operations fail as on a Redis out of memory.
 */
#define JG_MEMORY_MAX_ENTRIES 1000000

/* Under its job key in jg_memory_class.claims. */
struct jg_memory_claim {
    struct jg_map_entry entry;
    char owner[JG_JID_CHARS + 1];
    enum jg_claim_state state;
    enum jg_dedup dedup;
    int64_t epoch;
    int64_t since_ms;
    int64_t duplicates;
    int64_t candidates;                  /* ever */
    char newest[JG_JID_CHARS + 1];       /* candidate; empty: none */
    char newest_acked[JG_JID_CHARS + 1]; /* candidate; empty: none */
    char newest_duplicate[JG_JID_CHARS + 1];
    char *member;   /* of the latest run; owned; NULL: none */
    int64_t number; /* follow-ups with smaller ones are older than the owner; 0: none is known to be */
    bool followed;  /* there were some */
};

/* What is known of follow-ups, under their job key in jg_memory_class.follow_ups. */
struct jg_memory_fol {
    struct jg_map_entry entry;
    int64_t last;                   /* number that was given */
    int64_t newest_number;          /* of those that are in the log for sure; 0: none is */
    char newest[JG_JID_CHARS + 1];  /* its jid; empty: none, or the store lost data since */
    bool started;                   /* that one has */
    int64_t unacked_number;         /* the newest that is not acknowledged; 0: none */
    char unacked[JG_JID_CHARS + 1]; /* its jid; empty: none */
    int64_t unacked_until_ms;       /* so long those before it wait for it */
    int64_t epoch;
};

/* Under a jid in jg_memory_class.was: its claim had candidates, and ended by its run. */
struct jg_memory_was {
    struct jg_map_entry entry;
    enum jg_dedup dedup;
};

/* Under a jid in jg_memory_class.tickets. */
struct jg_memory_ticket {
    struct jg_map_entry entry;
    int64_t taken_ms;
    char *position;                   /* owned; NULL: not known */
    char limit_key[JG_KEY_CHARS + 1]; /* empty: it has none */
};

/* Under a job key in jg_memory_class.leases; under "" the class's own. */
struct jg_memory_lease {
    struct jg_map_entry entry;
    char member[JG_MEMBER_MAX_BYTES]; /* of the run that has it; empty: none */
    int64_t token;                    /* the last one that was given */
};

/* Under a jid in jg_memory_class.done. */
struct jg_memory_done {
    struct jg_map_entry entry;
    char member[JG_MEMBER_MAX_BYTES]; /* of the run that ended it; empty: it was a no-op */
    char next[JG_JID_CHARS + 1];      /* empty: it was not enqueued again */
    char at[JG_MEMBER_MAX_BYTES];     /* the position that enqueues it once more; empty: the first that comes up */
    bool waits;
};

/* Under the first JG_CHAIN_CHARS of a jid in jg_memory_class.chains. */
struct jg_memory_chain {
    struct jg_map_entry entry;
    int64_t number;                   /* the highest that started */
    char member[JG_MEMBER_MAX_BYTES]; /* its run; empty: it was held since */
};

/* Under a key in jg_memory.gauges. */
struct jg_memory_gauge {
    struct jg_map_entry entry;
    int64_t value;
};

/* Under an instance's name in jg_memory_class.instances. */
struct jg_memory_instance {
    struct jg_map_entry entry;
    int64_t limit;
    int64_t told_ms;
};

/* Whose something is; from `expires_ms` on nobody's. */
struct jg_memory_hold {
    char who[256]; /* empty: nobody's */
    int64_t expires_ms;
};

struct jg_memory_class {
    struct jg_map_entry entry;
    bool listed;              /* it is a class; else only a group's or a topic's name */
    bool woke;                /* the operation wakes watches */
    int64_t epoch;            /* 0: none yet */
    bool unsettled;           /* members of `run` may have been lost */
    struct jg_map claims;     /* of jg_memory_claim */
    struct jg_map run;        /* members; plain entries */
    struct jg_map key_run;    /* those of limits' keys, under `<limit key> <member>`; plain entries */
    struct jg_map marks;      /* keys with held jobs; plain entries */
    struct jg_map was;        /* of jg_memory_was */
    struct jg_map tickets;    /* of jg_memory_ticket */
    struct jg_map instances;  /* of jg_memory_instance */
    struct jg_map leases;     /* of jg_memory_lease */
    struct jg_map done;       /* of jg_memory_done */
    struct jg_map chains;     /* of jg_memory_chain */
    struct jg_map slots;      /* of a capacity, by jid; plain entries */
    struct jg_map follow_ups; /* of jg_memory_fol */
    struct jg_map *gauges;    /* the store's; NULL: it has none */
    bool told;                /* limit ... work_key, per_key */
    int64_t per_key;
    int64_t limit;
    int64_t ahead;           /* JG_AUTO: `paced` */
    int64_t paced;           /* as the resumer last said */
    int64_t waited_ms, idle; /* as in jg_op */
    int64_t max_age_ms;
    enum jg_lease lease;
    int64_t capacity;
    char load_key[256], work_key[256]; /* empty: none */
    bool by_slots;                     /* the load is how many capacity slots are taken */
    struct jg_override override;
    int64_t held;
    int64_t held_follow_ups; /* of those */
    int64_t waiting;         /* likewise, for nothing but what is the whole class's; where newcomers go by that */
    int64_t oldest_held_ms;
    struct jg_memory_hold lead;  /* LEAD, under a consumer group's name */
    int64_t announced;           /* likewise */
    struct jg_memory_hold group; /* GROUP, under a topic's name */
    int64_t tallies[JG_TALLIES];
    struct jg_duplicate_report *duplicates; /* a ring of JG_DUPLICATES_KEPT; NULL: none yet */
    size_t duplicate_count;                 /* ever */
};

/* One per name and process, shared by every jg_store that names it, and kept until the process ends: a consumer that is
 * opened after the producer was closed finds the claims. */
struct jg_memory {
    pthread_mutex_t lock;  /* guards all that follows; never held for long */
    struct jg_map classes; /* of jg_memory_class, under `<namespace>:<class>` */
    struct jg_map gauges;  /* of jg_memory_gauge: what an application would keep in its Redis */
    size_t entries;        /* in all classes, expired ones included */
    struct jg_memory_watch *watches;
    int64_t (*now_ms)(void *opaque);
    void *clock_opaque;
    int64_t wall_offset_ms; /* Unix time of the monotonic clock's zero, when the store was made */
    struct jg_fork_guard guard;
    struct jg_memory *next;
    char name[];
};

struct jg_memory_store {
    struct jg_store base;
    struct jg_memory *memory;
    char *name_space;
    const struct jg_log *log;
};

struct jg_memory_watch {
    struct jg_watch base;
    struct jg_memory *memory;
    char *name_space; /* owned */
    struct jg_memory_watch *next;
};

/* The class's data; NULL: there is none. Call with the lock held. */
struct jg_memory_class *jg_memory_class(struct jg_memory_store *store, const char *class_name);

/* A gauge of load or work of the stores that are opened as `memory:<store_name>`. Negative: there is none of that key.
 */
void jg_memory_set_gauge(const char *store_name, const char *key, int64_t value);

/* Carry out one operation on its class. JG_ENOMEM: nothing was changed. */
JG_MUST_USE enum jg_err jg_memory_apply(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op);

/* As when Redis lost or rewound its data: claims so far are of an older epoch. */
void jg_memory_start_epoch(struct jg_memory_class *class, int64_t now_ms);

/* Make an empty class of zeroed memory; free what a class owns. */
void jg_memory_class_init(struct jg_memory_class *class);
void jg_memory_class_clear(struct jg_memory_class *class);

/* In watch.c. Wake the namespace's watches, with the lock held. */
void jg_memory_wake(struct jg_memory *memory, const char *name_space);
enum jg_err jg_memory_watch(struct jg_store *store, struct jg_watch **out);

/* In memory.c: take the lock, read the clock. */
int64_t jg_memory_lock(struct jg_memory *memory);
void jg_memory_unlock(struct jg_memory *memory);

/* `<namespace>:<class>`; the caller clears `out`. A namespace holds no colon once escaped. False: out of memory. */
JG_MUST_USE bool jg_memory_class_key(const struct jg_memory_store *store, const char *class_name, struct jg_buf *out);

/* In report.c. */
enum jg_err jg_memory_classes(struct jg_store *store, void (*each)(void *opaque, const char *class_name), void *opaque);
enum jg_err jg_memory_class_report(struct jg_store *store, const char *class_name, struct jg_class_report *out);
enum jg_err jg_memory_survey(struct jg_store *store, struct jg_survey *survey);
enum jg_err jg_memory_claim_report(struct jg_store *store, const char *class_name, const char *key,
                                   struct jg_claim_report *out);
enum jg_err jg_memory_was(struct jg_store *store, const char *class_name, const char *jid, bool *out);
enum jg_err jg_memory_tickets(struct jg_store *store, const char *class_name,
                              void (*each)(void *opaque, const struct jg_ticket_report *ticket), void *opaque);
enum jg_err jg_memory_leases(struct jg_store *store, const char *class_name,
                             void (*each)(void *opaque, const struct jg_lease_report *lease), void *opaque);
enum jg_err jg_memory_slots(struct jg_store *store, const char *class_name,
                            void (*each)(void *opaque, const struct jg_slot_report *slot), void *opaque);
enum jg_err jg_memory_job_report(struct jg_store *store, const char *class_name, const char *jid,
                                 struct jg_job_report *out);
enum jg_err jg_memory_key_report(struct jg_store *store, const char *class_name, const char *limit_key,
                                 struct jg_key_report *out);
enum jg_err jg_memory_check(struct jg_store *store,
                            void (*each)(void *opaque, enum jg_log_level level, const char *text), void *opaque);
enum jg_err jg_memory_duplicates(struct jg_store *store, const char *class_name,
                                 void (*each)(void *opaque, const struct jg_duplicate_report *duplicate), void *opaque);

#endif
