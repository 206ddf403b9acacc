/* SPDX-License-Identifier: Apache-2.0 */
/* What an instance counts, in one table, so that an exporter can list them. Counters are per process (all instances);
 * per-class counters of jobs live in the store. */
#ifndef JG_PLUGIN_COUNTERS_H
#define JG_PLUGIN_COUNTERS_H

#include <stdint.h>

#define JG_COUNTERS(X)                                                                                                 \
    X(ORIGINAL, "original", "jobs produced whose claim stands for their key")                                          \
    X(DUPLICATE, "duplicate", "duplicates found when produced")                                                        \
    X(CANDIDATE, "candidate", "jobs sent although an equal one was claimed, because that claim was provisional")       \
    X(REJECTED, "rejected", "produce calls that were made to fail")                                                    \
    X(UNCLAIMED, "unclaimed", "jobs sent without a claim because the store did not answer")                            \
    X(UNIDENTIFIED, "unidentified", "messages whose class, arguments or payload could not be read")                    \
    X(KEYLESS, "keyless", "jobs in which limit.key found nothing: they share one limit")                               \
    X(STRIPPED, "stripped_headers", "jobgate-* headers that came with a produced message and were removed")            \
    X(CONFIRMED, "confirmed", "claims confirmed after the broker acknowledged")                                        \
    X(RELEASED, "released", "claims released because delivery failed")                                                 \
    X(FORGOTTEN, "forgotten", "confirmations or releases given up because the store stayed down")                      \
    X(SLOT_FREED, "slots_freed", "capacity slots freed by jobgate-release headers")                                    \
    X(SLOT_UNKNOWN, "slots_unknown", "jobgate-release headers of slots that there were not, or no more")               \
    X(RELEASE_BAD, "releases_malformed", "jobgate-release headers that name no class and jid, or one too many")        \
    X(RUN, "run", "governed messages handed to the application")                                                       \
    X(UNADMITTED, "unadmitted", "jobs of batch calls that ran although the store did not answer")                      \
    X(HELD, "held", "jobs that were moved to the holding topic")                                                       \
    X(RESUMED, "resumed", "held jobs that this process's resumer brought back")                                        \
    X(BURIED, "buried", "jobs that went to <topic>.dead: too old, too large, or not jobgate's")                        \
    X(HOLD_FAILURE, "hold_failures", "attempts to hold, resume or enqueue a job that failed, and are repeated")        \
    X(AHEAD_FULL, "ahead_full", "times that held jobs could not go ahead of others: the commit's metadata was full")   \
    X(AHEAD_LOST, "ahead_lost", "commits whose metadata, offsets resumed ahead, could not be read and were ignored")   \
    X(SKIPPED, "skipped", "duplicates kept from the application")                                                      \
    X(FOREIGN_STAMP, "foreign_stamps", "jobgate headers of another origin or version, or malformed, and ignored")      \
    X(NOOP, "noops", "jobs that ended at once because another run held their lease")                                   \
    X(DONE_AGAIN, "done_again", "copies of jobs that were done already, kept from the application")                    \
    X(COMPLETED, "completed", "jobs seen to end whose end the store was told: a claim, a slot or a lease was free")    \
    X(FAILED, "failed", "jobs that the application reported as failed, and that are enqueued again")                   \
    X(REENQUEUED, "reenqueued", "jobs produced to their own topic again at their end")                                 \
    X(LEASE_LOST, "leases_lost", "leases lost while their job was still running")                                      \
    X(GAUGE_TROUBLE, "gauge_troubles", "times that a gauge of load or work was absent, or no number")                  \
    X(LOST_RUN, "lost_runs", "runs that ended for jobgate without a completion: revoked, overdue, unseen")             \
    X(SOUGHT_BACK, "sought_back", "messages kept back because nothing could be decided about them")                    \
    X(REFUSED, "refused", "messages and produce calls refused because the settings cannot be honoured")                \
    X(STORE_FAILURE, "store_failures", "store operations that were not answered")                                      \
    X(EVENTS_SENT, "events_sent", "events of jobs that are in the topic of jobgate.events.topic")                      \
    X(EVENTS_DROPPED, "events_dropped", "events that are not: its brokers were slow, gone, or refused them")

enum jg_counter {
#define JG_COUNTER_ENUM(id, name, help) JG_COUNT_##id,
    JG_COUNTERS(JG_COUNTER_ENUM)
#undef JG_COUNTER_ENUM
        JG_COUNTER_COUNT
};

/* Any thread. */
void jg_count(enum jg_counter counter, int64_t by);
int64_t jg_counter_value(enum jg_counter counter);
const char *jg_counter_name(enum jg_counter counter);

#endif
