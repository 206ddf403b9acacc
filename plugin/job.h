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
 *   held         its job came up for admission and was deferred to the holding topic; it comes up again: an equal
 *                job is a duplicate. Each time it is held the TTL starts once more.
 *   running      its job runs (until_executed only): an equal job is a duplicate.
 *
 *   event \ state        none          provisional               queued           held             running
 *   claim (other jid)    provisional   candidate registered      duplicate        duplicate        duplicate (*)
 *   claim (same jid)     provisional   stays                     stays            stays            stays
 *   confirm (owner)      none          queued                    stays            stays            stays
 *   confirm (candidate)  none          remembered as acked       as provisional   as provisional   as provisional
 *   keep (owner)         none          TTL renewed               no effect        no effect        no effect
 *   release (owner)      none          to newest candidate,      as provisional   no effect        no effect
 *                                      or none
 *   admit (owner) says HOLD:
 *                        none          held                      held             held             (cannot be)
 *   admit (owner) says RUN, until_executing:
 *                        none          none                      none             none             (cannot be)
 *   admit (owner) says RUN, until_executed:
 *                        none          running                   running          running          running
 *   complete (owner's latest run)
 *                        none          none                      none             none             none
 *   bury (owner)         none          to newest candidate,      as provisional   as provisional   no effect
 *                                      or none
 *   TTL passes           none          none                      none             none             none
 *
 *   (*) when the newcomer's mode is until_executing, the newcomer takes the claim over: a running job does not come up
 *       for admission again, so it may turn nothing of that mode away. When the run has not been renewed for its TTL
 *       (its consumer died, or committed and died), the newcomer is a candidate: the job may have ended unseen.
 *
 * A claim that was written in an older epoch of the store (it lost or rewound its data since) counts as provisional,
 * and confirming does not raise it. A claim that ever had candidates leaves `was:<jid>` for `dedup.ttl.ms` when its
 * job was admitted (until_executing) or completed (until_executed): by that record a candidate knows, later, that its
 * original did run. The record turns no newcomer away. Only the owner's jid changes or ends a claim.
 *
 * Of a class with a limit, a run is also a *slot*: a member of `run` from RUN until complete, or until it is not
 * renewed for limit.ttl.ms. A job that finds no slot is held. The resumer brings it back with a *ticket*, which is
 * taken only while a slot is free, holds no slot itself, and lets the job go before newcomers:
 *
 *   consumed --admit--> RUN   a slot is taken; the ticket is gone
 *                       HOLD  to the holding topic, behind what is there; the ticket is gone
 *                       LATER a ticketed job waits for a slot (resume.wait.ms), and is then held
 *   held ----take-----> a ticket, then produced to its origin topic ----> consumed again
 *   held ----bury-----> <topic>.dead (hold.max.age.ms, or it cannot be resumed, ever); claim and ticket end
 *
 * A newcomer (no ticket) is held while any job of its class is held or has a ticket. A ticket that was lost makes a
 * newcomer of its job, one too many sends newcomers through the holding topic: neither lets more run than may.
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

enum jg_claim_state { JG_CLAIM_NONE, JG_CLAIM_PROVISIONAL, JG_CLAIM_QUEUED, JG_CLAIM_HELD, JG_CLAIM_RUNNING };

/* The answer to `claim`. */
enum jg_claimed { JG_ORIGINAL, JG_DUPLICATE, JG_CANDIDATE };

/* The answer to `admit`; never mixed with errors. LATER: nothing was decided and nothing changed, ask again. */
enum jg_verdict { JG_RUN, JG_HOLD, JG_SKIP, JG_LATER };

/* Why a job does not run now. */
enum jg_reason {
    JG_REASON_NONE,
    JG_REASON_LIMIT,  /* HOLD: the class runs as many as it may. LATER: so does it, and this one has a ticket */
    JG_REASON_BEHIND, /* HOLD: others of its class are held, or on their way back: it goes behind them */
    JG_REASON_PAUSED, /* HOLD: the class's limit is negative */
    JG_REASON_GRACE,  /* LATER: the store may have lost who runs; instances are putting it back */
    JG_REASON_FULL    /* LATER: hold.max jobs of the class are held */
};

/* Names as they stand in settings, headers, the store and the CLI's output. */
const char *jg_dedup_name(enum jg_dedup dedup);
bool jg_dedup_parse(const char *text, size_t size_bytes, enum jg_dedup *out);
const char *jg_claim_state_name(enum jg_claim_state state);
const char *jg_reason_name(enum jg_reason reason);
bool jg_reason_parse(const char *text, size_t size_bytes, enum jg_reason *out);

/* True when `text` has the form of a jid that a plugin made: 32 hex digits, '-', 20 hex digits. */
bool jg_jid_valid(const char *text, size_t size_bytes);

#endif
