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
    void (*tend)(struct jg_store *store);
    enum jg_err (*classes)(struct jg_store *store, void (*each)(void *opaque, const char *class_name), void *opaque);
    enum jg_err (*class_report)(struct jg_store *store, const char *class_name, struct jg_class_report *out);
    enum jg_err (*claim_report)(struct jg_store *store, const char *class_name, const char *key,
                                struct jg_claim_report *out);
    enum jg_err (*was)(struct jg_store *store, const char *class_name, const char *jid, bool *out);
    enum jg_err (*duplicates)(struct jg_store *store, const char *class_name,
                              void (*each)(void *opaque, const struct jg_duplicate_report *duplicate), void *opaque);
};

/* The head of every store. */
struct jg_store {
    const struct jg_store_vtable *vtable;
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
    JG_TALLIES
};
extern const char *const jg_tally_names[JG_TALLIES];

/* As many of a class's duplicates are remembered. The number stands in claim.lua too. */
#define JG_DUPLICATES_KEPT 100

/* Append `name` as it stands in keys and in topic names: bytes outside [A-Za-z0-9_] as `-hh`; what is longer than 100
 * then is cut, and ends with `--` and a hash. Different names never become equal. */
void jg_name_escape(struct jg_buf *out, const char *name);

#endif
