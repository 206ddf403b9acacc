/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a job.
 *
 * A job is one Kafka message on a governed topic. Kafka says which jobs exist; the store (connectors/store.h) holds
 * the claims, small records that say which job stands for a job key. A job key is a hash of (namespace, class,
 * canonical arguments). A jid is the id of one job: `<job key>-<random>`, new for every produce call.
 *
 * A claim is always in one of these states (enum jg_claim_state), and changes only inside a store operation:
 *
 *   provisional  its job was handed to the producer, nothing is acknowledged. It turns nothing away: an equal job goes
 *                out as a *candidate*, which may yet have to run. Gone after `dedup.provisional.ms` unless kept alive.
 *   queued       the broker has acknowledged its job, which is certain to come up for admission: an equal job is a
 *                *duplicate*.
 *   running      its job runs (until_executed only): an equal job is a duplicate.
 *
 *   event \ state        none          provisional               queued           running
 *   claim (other jid)    provisional   candidate registered      duplicate        duplicate (*)
 *   claim (same jid)     provisional   stays                     stays            stays
 *   confirm (owner)      none          queued                    stays            stays
 *   confirm (candidate)  none          remembered as acked       as provisional   as provisional
 *   keep (owner)         none          TTL renewed               no effect        no effect
 *   release (owner)      none          to newest candidate,      as provisional   no effect
 *                                      or none
 *   admit (owner), until_executing:
 *                        none          none                      none             (cannot be)
 *   admit (owner), until_executed:
 *                        none          running                   running          running
 *   complete (owner's latest run)
 *                        none          none                      none             none
 *   TTL passes           none          none                      none             none
 *
 *   (*) when the newcomer's mode is until_executing, the newcomer takes the claim over: a running job does not come up
 *       for admission again, so it may turn nothing of that mode away. When the run has not been renewed for its TTL
 *       (its consumer died, or committed and died), the newcomer is a candidate: the job may have ended unseen.
 *
 * A claim that was written in an older epoch of the store (it lost or rewound its data since) counts as provisional,
 * and confirming does not raise it. A claim that ever had candidates leaves `was:<jid>` for `dedup.ttl.ms` when its
 * job was admitted (until_executing) or completed (until_executed): by that record a candidate knows, later, that its
 * original did run. The record turns no newcomer away. Only the owner's jid changes or ends a claim.
 */
#ifndef JG_PLUGIN_JOB_H
#define JG_PLUGIN_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JG_KEY_CHARS 32                                       /* 128 bits of SHA-256, as hex */
#define JG_JID_RANDOM_CHARS 20                                /* 80 bits, as hex */
#define JG_JID_CHARS (JG_KEY_CHARS + 1 + JG_JID_RANDOM_CHARS) /* `<key>-<random>` */
#define JG_CLASS_MAX_BYTES 512                                /* a longer class is unidentified */
#define JG_RUN_TTL_MS 30000                                   /* a run without a heartbeat for this long is over */

/* Until when a claim turns equal jobs away. */
enum jg_dedup { JG_DEDUP_NONE, JG_DEDUP_UNTIL_EXECUTING, JG_DEDUP_UNTIL_EXECUTED };

/* What becomes of a duplicate at the producer. */
enum jg_dup_action { JG_DUP_MARK, JG_DUP_REJECT };

enum jg_claim_state { JG_CLAIM_NONE, JG_CLAIM_PROVISIONAL, JG_CLAIM_QUEUED, JG_CLAIM_RUNNING };

/* The answer to `claim`. */
enum jg_claimed { JG_ORIGINAL, JG_DUPLICATE, JG_CANDIDATE };

/* The answer to `admit`; never mixed with errors. */
enum jg_verdict { JG_RUN, JG_HOLD, JG_SKIP };

/* Names as they stand in settings, headers, the store and the CLI's output. */
const char *jg_dedup_name(enum jg_dedup dedup);
bool jg_dedup_parse(const char *text, size_t size_bytes, enum jg_dedup *out);
const char *jg_claim_state_name(enum jg_claim_state state);

/* True when `text` has the form of a jid that a plugin made: 32 hex digits, '-', 20 hex digits. */
bool jg_jid_valid(const char *text, size_t size_bytes);

#endif
