/* SPDX-License-Identifier: Apache-2.0 */
/* What a store implements, and what both share. */
#ifndef JG_CONNECTORS_STORE_IMPL_H
#define JG_CONNECTORS_STORE_IMPL_H

#include "base/buf.h"
#include "connectors/store.h"

struct jg_store_vtable {
    void (*close)(struct jg_store *store);
    enum jg_err (*exec)(struct jg_store *store, struct jg_op *ops, size_t count);
    bool (*wait)(struct jg_store *store, int64_t timeout_ms);
    bool (*is_up)(struct jg_store *store);
    enum jg_err (*watch)(struct jg_store *store, struct jg_watch **out);
    void (*tend)(struct jg_store *store);
    enum jg_err (*classes)(struct jg_store *store, void (*each)(void *opaque, const char *class_name), void *opaque);
    enum jg_err (*class_report)(struct jg_store *store, const char *class_name, struct jg_class_report *out);
    enum jg_err (*survey)(struct jg_store *store, struct jg_survey *survey);
    enum jg_err (*claim_report)(struct jg_store *store, const char *class_name, const char *key,
                                struct jg_claim_report *out);
    enum jg_err (*was)(struct jg_store *store, const char *class_name, const char *jid, bool *out);
    enum jg_err (*tickets)(struct jg_store *store, const char *class_name,
                           void (*each)(void *opaque, const struct jg_ticket_report *ticket), void *opaque);
    enum jg_err (*leases)(struct jg_store *store, const char *class_name,
                          void (*each)(void *opaque, const struct jg_lease_report *lease), void *opaque);
    enum jg_err (*slots)(struct jg_store *store, const char *class_name,
                         void (*each)(void *opaque, const struct jg_slot_report *slot), void *opaque);
    enum jg_err (*job_report)(struct jg_store *store, const char *class_name, const char *jid,
                              struct jg_job_report *out);
    enum jg_err (*key_report)(struct jg_store *store, const char *class_name, const char *limit_key,
                              struct jg_key_report *out);
    enum jg_err (*check)(struct jg_store *store, void (*each)(void *opaque, enum jg_log_level level, const char *text),
                         void *opaque);
    enum jg_err (*duplicates)(struct jg_store *store, const char *class_name,
                              void (*each)(void *opaque, const struct jg_duplicate_report *duplicate), void *opaque);
};

/* The head of every store. */
struct jg_store {
    const struct jg_store_vtable *vtable;
    struct jg_store_meter meter;
};

/* The head of every watch. */
struct jg_watch {
    enum jg_err (*read)(struct jg_watch *watch, bool *woken);
    void (*close)(struct jg_watch *watch);
    int fd;
};

JG_MUST_USE enum jg_err jg_memory_open(const struct jg_store_options *options, struct jg_store **out,
                                       struct jg_error *error);
JG_MUST_USE enum jg_err jg_redis_open(const struct jg_store_options *options, struct jg_store **out,
                                      struct jg_error *error);

/* What a class counts. The names stand in Redis and in reports. */
enum jg_tally {
    JG_TALLY_CLAIMED,
    JG_TALLY_DUPLICATES,
    JG_TALLY_CANDIDATES,
    JG_TALLY_CONFIRMED,
    JG_TALLY_PASSED,
    JG_TALLY_RELEASED,
    JG_TALLY_ADMITTED,
    JG_TALLY_SKIPPED,
    JG_TALLY_COMPLETED,
    JG_TALLY_HELD,
    JG_TALLY_RESUMED,
    JG_TALLY_BURIED,
    JG_TALLY_NOOPS,
    JG_TALLY_REENQUEUED,
    JG_TALLY_FAILED,        /* of the completed */
    JG_TALLY_RUNS_LOST,     /* expired, since nobody renewed them */
    JG_TALLY_LEASES_LOST,   /* likewise; counted when another run gets the lease, or that run ends after all */
    JG_TALLY_MISSED,        /* ticketed jobs that found no slot, and were held again */
    JG_TALLY_SLOTS_FREED,   /* capacity slots, by a release */
    JG_TALLY_SLOTS_UNKNOWN, /* releases of slots that there were not, or no more */
    JG_TALLY_FOLLOW_UPS,    /* of the admitted */
    JG_TALLIES
};
extern const char *const jg_tally_names[JG_TALLIES];

/* Put what an instance told into a class's report, unless it is too long ago. Both stores list, and forget when there
 * are more than JG_REPORT_INSTANCES; sync.lua has these numbers too. */
#define JG_INSTANCE_TOLD_MS 60000
void jg_report_instance(struct jg_class_report *report, const char *name, int64_t limit, int64_t told_ms,
                        int64_t now_ms);

/* As many of a class's duplicates are remembered. The number stands in claim.lua too. */
#define JG_DUPLICATES_KEPT 100

/* Append `name` as it stands in keys and in topic names: bytes outside [A-Za-z0-9_] as `-hh`; what is longer than 100
 * then is cut, and ends with `--` and a hash. Different names never become equal. */
void jg_name_escape(struct jg_buf *out, const char *name);

#endif
