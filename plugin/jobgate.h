/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate's public C API. A program needs none of it: the plugin is loaded by the property
 * `plugin.library.paths=jobgate` and works on unchanged programs. It is for programs that want to look.
 *
 * The functions are exported by jobgate.so; reach them by dlsym(), or by linking with `pkg-config --libs jobgate`. */
#ifndef JOBGATE_H
#define JOBGATE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JOBGATE_VERSION "0.5.0"

/* Headers that the producing plugin stamps on a job. */
#define JOBGATE_HEADER_PREFIX "jobgate-"
#define JOBGATE_HEADER_VERSION "jobgate-v"                       /* "1" */
#define JOBGATE_HEADER_ORIGIN "jobgate-origin"                   /* <namespace>/<topic> */
#define JOBGATE_HEADER_JID "jobgate-jid"                         /* unique id of this job: <job key>-<random>[-<n>] */
#define JOBGATE_HEADER_CLASS "jobgate-class"                     /* its class */
#define JOBGATE_HEADER_KEY "jobgate-key"                         /* hash of class and arguments, 32 hex digits */
#define JOBGATE_HEADER_DEDUP "jobgate-dedup"                     /* until_executing or until_executed */
#define JOBGATE_HEADER_DUPLICATE_OF "jobgate-duplicate-of"       /* a marked duplicate: jid of its original */
#define JOBGATE_HEADER_DUPLICATE_SINCE "jobgate-duplicate-since" /* ... claimed at, Unix time in ms */
#define JOBGATE_HEADER_CANDIDATE_OF "jobgate-candidate-of"       /* may have to run: jid of its original */
#define JOBGATE_HEADER_FOLLOW_UP "jobgate-follow-up"             /* ... after that, which may run: a growing number */
#define JOBGATE_HEADER_UNCLAIMED "jobgate-unclaimed"             /* "1": sent while the store was down */
#define JOBGATE_HEADER_HELD_SINCE "jobgate-held-since" /* in the holding topic, and resumed: first held, Unix ms */
#define JOBGATE_HEADER_HELD_REASON                                                                                     \
    "jobgate-held-reason"                              /* ... why: limit, behind, paused, lease, capacity, key, retry */
#define JOBGATE_HEADER_HELD_FROM "jobgate-held-from"   /* ... <partition>/<offset> of the origin topic, at first */
#define JOBGATE_HEADER_HELD_TIME "jobgate-held-time"   /* ... the message's own timestamp, Unix ms */
#define JOBGATE_HEADER_RESUMED "jobgate-resumed"       /* how often it was resumed; none: it is no resumed job */
#define JOBGATE_HEADER_NOT_BEFORE "jobgate-not-before" /* in the holding topic: not resumed before, Unix ms */
#define JOBGATE_HEADER_ATTEMPT "jobgate-attempt"       /* how often the job has failed, one after another */
#define JOBGATE_HEADER_LIMIT_KEY "jobgate-limit-key"   /* ... hash of class and value of limit.key, 32 hex digits */
#define JOBGATE_HEADER_LEASE_TOKEN                                                                                     \
    "jobgate-lease-token"                                /* added as it is handed out: the fencing token of its lease  \
                                                          */
#define JOBGATE_HEADER_DEAD_REASON "jobgate-dead-reason" /* in <topic>.dead: why it cannot run */
#define JOBGATE_HEADER_SLOT                                                                                            \
    "jobgate-slot" /* added as it is handed out: <class>/<jid>, whose capacity slot it takes                           \
                    */
#define JOBGATE_HEADER_RELEASE                                                                                         \
    "jobgate-release" /* the application's own, never removed: a value of jobgate-slot, whose slot is free when this   \
                         message is consumed */

/* What a skipped message's `payload` begins with, in clients that show it: tells a skip from a real end of partition.
 */
#define JOBGATE_SKIP_TEXT "jobgate: skipped"

/* With `jobgate.completion=api`: the job at this position, which a consumer of this process was handed, has ended. Call
 * it once for every message of a governed topic, from any thread, in any order; with enable.auto.offset.store=true (the
 * default) offsets are stored up to the first job that has not ended. A job that failed is enqueued again through its
 * holding topic, after a backoff. Blocks on the store and, when the job is enqueued again, on the brokers: at most
 * jobgate.store.wait.ms each. */
#define JOBGATE_DONE 0
#define JOBGATE_FAILED 1
int jobgate_complete(const char *topic, int32_t partition, int64_t offset, int outcome);

/* What jobgate_complete answers. */
#define JOBGATE_OK 0 /* ended; when it is enqueued again, that is acknowledged */
#define JOBGATE_PENDING                                                                                                \
    1 /* the store or the brokers did not answer in time: it goes on in the background. Likewise                       \
       * when it is reported once more meanwhile */
#define JOBGATE_ERR_UNKNOWN -1 /* no consumer of this process was handed a job there that is open */
#define JOBGATE_ERR_MODE -2    /* that consumer does not complete jobs by calls: set jobgate.completion=api */
#define JOBGATE_ERR_INVALID -3 /* no topic, or no such outcome */
#define JOBGATE_ERR_FAILED                                                                                             \
    -4 /* it cannot be enqueued again (it could not be identified, or no store is set): it stays                       \
        * open; call again with JOBGATE_DONE, or it is delivered again after a restart */

/* The fencing token of the lease that the job at this position was given; -1: none. Give it to what the job writes to:
 * that refuses smaller ones than it has seen. Any thread, never blocks. */
int64_t jobgate_lease_token(const char *topic, int32_t partition, int64_t offset);

/* How long the lease of the job at this position is surely its own, unless it is renewed (in ms, by this machine's
 * clock); 0: it may be another's by now; -1: there is none. Any thread, never blocks. */
int64_t jobgate_lease_left_ms(const char *topic, int32_t partition, int64_t offset);

/* The version of the loaded plugin. Static text. Any thread. */
const char *jobgate_version(void);

/* One of the plugin's counters by name ("duplicate", "skipped", "store_failures" ...), summed over all handles of
 * this process. Returns -1 for an unknown name. Any thread, never blocks. */
int64_t jobgate_counter(const char *name);

/* What the key of `capacity.load=redis:<key>` or `capacity.work=redis:<key>` holds, where `jobgate.store` is
 * `store_url`, a store in memory: for trying things out, and for tests. With a Redis the application keeps the key
 * there itself. A negative value: there is no such key. JOBGATE_OK, or JOBGATE_ERR_INVALID: no `memory:[name]`, or no
 * key. Any thread. */
int jobgate_memory_gauge(const char *store_url, const char *key, int64_t value);

/* The name of counter number `index`, from 0; NULL past the last. Static text. Any thread. */
const char *jobgate_counter_name(unsigned index);

#ifdef __cplusplus
}
#endif

#endif
