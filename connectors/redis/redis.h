/* SPDX-License-Identifier: Apache-2.0 */
/* The store in Redis: its parts, for the files of this folder. */
#ifndef JG_CONNECTORS_REDIS_REDIS_H
#define JG_CONNECTORS_REDIS_REDIS_H

#include <pthread.h>

#include "connectors/fork.h"
#include "connectors/redis/breaker.h"
#include "connectors/redis/conn.h"
#include "connectors/redis/trouble.h"
#include "connectors/redis/url.h"
#include "connectors/store_impl.h"

/* A caller inside jg_store_exec, on its stack. Under the lock, but for `ops` once it was taken. */
struct jg_request {
    struct jg_op *ops;
    size_t count;
    int64_t arrived_ms;
    enum { JG_REQUEST_WAITING, JG_REQUEST_LEADS, JG_REQUEST_TAKEN, JG_REQUEST_DONE } state;
    pthread_cond_t changed;
    struct jg_request *next;
};

struct jg_redis {
    struct jg_store base;
    struct jg_redis_url url;
    char *prefix; /* `jg1:<namespace>:` of all keys */
    int64_t timeout_ms;
    const struct jg_log *log;
    struct jg_fork_guard guard;

    pthread_mutex_t lock;      /* never held during I/O; guards what follows up to `conn` */
    pthread_cond_t up_changed; /* the breaker closed, or may be tried by another */
    struct jg_breaker breaker;
    bool busy;                       /* somebody leads, and owns what stands below */
    struct jg_request *first, *last; /* that wait */
    size_t waiting;                  /* how many that are */
    size_t last_taken;               /* requests in the last pipeline */
    int64_t tended_ms;               /* when jg_store_tend was last called; 0: never */
    int64_t failed_ms;               /* when an operation last failed; 0: never */
    bool told_down;                  /* the log says that the store is down */

    /* The leader's, whoever that is. */
    struct jg_conn conn;
    struct jg_buf commands;
};

/* The leader's work, in exchange.c: carry out the operations of `requests` (linked by `next`), setting each one's err.
 * Returns what is wrong with the server itself, if anything. Leaves the connection open unless it failed. */
void jg_redis_exchange(struct jg_redis *redis, struct jg_request *requests, struct jg_trouble *trouble);

/* Connect when there is no connection, bounded by timeout_ms and the deadline. */
JG_MUST_USE enum jg_err jg_redis_connect(struct jg_redis *redis, int64_t deadline_ms, struct jg_trouble *trouble);

/* In since.c: for how long the server has had our data without a loss, as far as is known; 0 when it begins now. */
JG_MUST_USE enum jg_err jg_redis_since(struct jg_redis *redis, int64_t deadline_ms, int64_t *age_ms,
                                       struct jg_trouble *trouble);

/* In watch.c. */
enum jg_err jg_redis_watch(struct jg_store *store, struct jg_watch **out);

/* In check.c. */
enum jg_err jg_redis_key_report(struct jg_store *store, const char *class_name, const char *limit_key,
                                struct jg_key_report *out);
enum jg_err jg_redis_check(struct jg_store *store,
                           void (*each)(void *opaque, enum jg_log_level level, const char *text), void *opaque);

/* In combine.c. */
enum jg_err jg_redis_exec(struct jg_store *store, struct jg_op *ops, size_t count);
bool jg_redis_wait(struct jg_store *store, int64_t timeout_ms);
bool jg_redis_is_up(struct jg_store *store);
void jg_redis_tend(struct jg_store *store);

/* In report_class.c. */
enum jg_err jg_redis_survey(struct jg_store *store, struct jg_survey *survey);
enum jg_err jg_redis_class_report(struct jg_store *store, const char *class_name, struct jg_class_report *out);

/* In report.c. */
enum jg_err jg_redis_classes(struct jg_store *store, void (*each)(void *opaque, const char *class_name), void *opaque);
enum jg_err jg_redis_claim_report(struct jg_store *store, const char *class_name, const char *key,
                                  struct jg_claim_report *out);
enum jg_err jg_redis_was(struct jg_store *store, const char *class_name, const char *jid, bool *out);
enum jg_err jg_redis_tickets(struct jg_store *store, const char *class_name,
                             void (*each)(void *opaque, const struct jg_ticket_report *ticket), void *opaque);
enum jg_err jg_redis_duplicates(struct jg_store *store, const char *class_name,
                                void (*each)(void *opaque, const struct jg_duplicate_report *duplicate), void *opaque);

/* In report_runs.c. */
/* In report_slots.c. */
enum jg_err jg_redis_slots(struct jg_store *store, const char *class_name,
                           void (*each)(void *opaque, const struct jg_slot_report *slot), void *opaque);
enum jg_err jg_redis_leases(struct jg_store *store, const char *class_name,
                            void (*each)(void *opaque, const struct jg_lease_report *lease), void *opaque);
enum jg_err jg_redis_job_report(struct jg_store *store, const char *class_name, const char *jid,
                                struct jg_job_report *out);

#endif
