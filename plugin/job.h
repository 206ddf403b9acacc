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
 *   claim (other jid, follow-ups)
 *                        provisional   candidate registered      duplicate        duplicate        follow-up
 *   claim (same jid)     provisional   stays                     stays            stays            stays
 *   confirm (owner)      none          queued                    stays            stays            stays
 *   confirm (candidate)  none          remembered as acked       as provisional   as provisional   as provisional
 *   keep (owner)         none          TTL renewed               no effect        no effect        no effect
 *   release (owner)      none          to newest candidate,      as provisional   no effect        no effect
 *                                      or none
 *   admit (owner) says HOLD:
 *                        none          held                      held             held             held (**)
 *   admit (owner) says RUN, until_executing:
 *                        none          none                      none             none             (cannot be)
 *   admit (owner) says RUN, until_executed:
 *                        none          running                   running          running          running
 *   complete (owner's latest run)
 *                        none          none                      none             none             none, or queued:
 *                                                                                                  to a follow-up
 *   bury (owner)         none          to newest candidate,      as provisional   as provisional   no effect
 *                                      or none
 *   TTL passes           none          none                      none             none             none
 *
 *   (*) when the newcomer's mode is until_executing, the newcomer takes the claim over: a running job does not come up
 *       for admission again, so it may turn nothing of that mode away. When the run has not been renewed for its TTL
 *       (its consumer died, or committed and died), the newcomer is a candidate: the job may have ended unseen.
 *
 *   (**) with follow-ups only: the job was delivered again, and what it waits for is its own old run's.
 *
 * A *follow-up* (until_executed with dedup.follow.up) is a duplicate of a job that runs, or may run. It is sent as a
 * candidate with a number; numbers of a job key grow. `fol:<key>` keeps the largest number that is in the log for sure,
 * since it was acknowledged or came up: that one stands for all with smaller numbers, which are skipped.
 *
 *   claim, while A runs ----> the next number; not acknowledged: those before it wait for it (dedup.provisional.ms)
 *   confirm, or coming up --> the newest: it gets the claim of an older follow-up that did not start
 *   admit: a newer one is in the log ---------------------> SKIP, a duplicate of that
 *          another job has the claim, or a newer may come -> HOLD, reason follow-up
 *          else the claim is its own: as any job
 *   A is completed ----------> A's claim goes to the newest, in the place of A's successor
 *   A's run dies ------------> the newest gets the claim when it comes up, and A is done; unless A comes first
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
 *
 * Of a class with `lease`, a run also holds the class's (or its job key's) *lease*: it is held while its owner, a run,
 * is a live member of `run`, so one heartbeat serves both. Each grant gives a larger *fencing token*: the one before
 * and 1, or the server's time in ms where that is more. A job that finds it taken is held; with lease.taken=skip it
 * ends as a no-op (SKIP, reason taken), but only one that nothing was promised to. Held, whoever has the lease, are: a
 * job that started before (its consumer died, or lost its partition; its lease may be another's by now), one that was
 * held before, and a successor in a chain, or after a failure: a no-op of such a one would be a loss.
 *
 * Of a class with `limit.key`, a run is also a slot of its limit's key: a member of `run:<limit key>`, kept and left in
 * step with `run`. A job whose key has as many as may run is held (reason key). Newcomers go behind held jobs of their
 * own key alone (`heldk` marks such keys), and behind those that wait for nothing but what is the whole class's (`w` of
 * `held`): one tenant's held jobs stand in nobody else's way. So it is, too, where newcomers wait for the leases of
 * their job keys (lease=key with lease.taken=hold). A mark that is out of date sends newcomers of its key through the
 * holding topic, one that is missing lets them overtake held jobs; neither lets more run than may.
 *
 * A job that is enqueued again at its end (capacity, or it failed) begins a *chain*: its successors are
 * `<jid>-1`, `<jid>-2` ... `chain:<jid>` keeps the highest number that started, and its run. Another position of that
 * number, or a lower one, is a copy and is skipped: a chain never forks, although a re-enqueue may be produced twice.
 * Of a class with a lease every job has that record, so that what started is known: until its end, or for done.ttl.ms
 * since its run was last renewed.
 *
 *   running --complete (capacity, work remains)--> done + <chain>-<n+1>: queued, or held while load >= capacity
 *   running --complete (failed)------------------> done + <chain>-<n+1>: held until its backoff is over
 *   running --complete (else)--------------------> done
 *
 * `done:<jid>` keeps that answer for done.ttl.ms (classes with a lease, and wherever a job was enqueued again): a copy
 * that comes later is skipped (reason done). At the position where it ran, its consumer produces the successor once
 * more, since whether that was ever acknowledged is not known; elsewhere it does not, or copies would go on for ever.
 */
#ifndef JG_PLUGIN_JOB_H
#define JG_PLUGIN_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define JG_KEY_CHARS 32                                         /* 128 bits of SHA-256, as hex */
#define JG_JID_RANDOM_CHARS 20                                  /* 80 bits, as hex */
#define JG_CHAIN_CHARS (JG_KEY_CHARS + 1 + JG_JID_RANDOM_CHARS) /* `<key>-<random>`: a jid, and the chain it begins */
#define JG_JID_CHARS (JG_CHAIN_CHARS + 1 + 10)                  /* at most: `<chain>-<number>` */
#define JG_CLASS_MAX_BYTES 512                                  /* a longer class is unidentified */
#define JG_RUN_TTL_MS 30000                                     /* a run without a heartbeat for this long is over */

/* Until when a claim turns equal jobs away. */
enum jg_dedup { JG_DEDUP_NONE, JG_DEDUP_UNTIL_EXECUTING, JG_DEDUP_UNTIL_EXECUTED };

/* What becomes of a duplicate at the producer. */
enum jg_dup_action { JG_DUP_MARK, JG_DUP_REJECT };

#define JG_AUTO (-1) /* resume.ahead: the leading resumer finds it; resume.wait.ms: each consumer does */

/* What may run only once at a time: the class, or each job key. */
enum jg_lease { JG_LEASE_NONE, JG_LEASE_CLASS, JG_LEASE_KEY };

/* What becomes of a job whose lease another one holds. */
enum jg_lease_taken { JG_LEASE_TAKEN_SKIP, JG_LEASE_TAKEN_HOLD };

enum jg_claim_state { JG_CLAIM_NONE, JG_CLAIM_PROVISIONAL, JG_CLAIM_QUEUED, JG_CLAIM_HELD, JG_CLAIM_RUNNING };

/* The answer to `claim`. */
enum jg_claimed { JG_ORIGINAL, JG_DUPLICATE, JG_CANDIDATE };

/* The answer to `admit`; never mixed with errors. LATER: nothing was decided and nothing changed, ask again. */
enum jg_verdict { JG_RUN, JG_HOLD, JG_SKIP, JG_LATER };

/* Why a job does not run now. */
enum jg_reason {
    JG_REASON_NONE,
    JG_REASON_LIMIT,     /* HOLD: the class runs as many as it may. LATER: so does it, and this one has a ticket */
    JG_REASON_BEHIND,    /* HOLD: others of its class are held, or on their way back: it goes behind them */
    JG_REASON_PAUSED,    /* HOLD: the class's limit is negative */
    JG_REASON_GRACE,     /* LATER: the store may have lost who runs; instances are putting it back */
    JG_REASON_FULL,      /* LATER: hold.max jobs of the class are held */
    JG_REASON_LEASE,     /* HOLD: another run holds the lease. LATER: so it does, and this one has a ticket */
    JG_REASON_CAPACITY,  /* HOLD: load >= capacity. LATER: so it is, and this one has a ticket */
    JG_REASON_KEY,       /* HOLD: as many of its limit's key run as may. LATER: so they do, and this one has a ticket */
    JG_REASON_FOLLOW_UP, /* HOLD: another job has its claim, which it waits for; or a newer follow-up may come */
    JG_REASON_RETRY,     /* it failed, and waits in the holding topic for its backoff (no answer to admit) */
    JG_REASON_DONE,      /* SKIP: this job has ended already */
    JG_REASON_TAKEN,     /* SKIP: a no-op, since another run holds the lease */
    JG_REASON_COPY       /* SKIP: another copy of it, or a later one of its chain, was started */
};

/* Names as they stand in settings, headers, the store and the CLI's output. */
const char *jg_dedup_name(enum jg_dedup dedup);
bool jg_dedup_parse(const char *text, size_t size_bytes, enum jg_dedup *out);
const char *jg_claim_state_name(enum jg_claim_state state);
const char *jg_reason_name(enum jg_reason reason);
/* Is it for lack of room: a slot, the lease, capacity? */
bool jg_reason_is_room(enum jg_reason reason);
bool jg_reason_parse(const char *text, size_t size_bytes, enum jg_reason *out);

bool jg_lease_parse(const char *text, size_t size_bytes, enum jg_lease *out);
const char *jg_lease_name(enum jg_lease lease);

/* True when `text` has the form of a jid that a plugin made: 32 hex digits, '-', 20 hex digits, and for a successor in
 * a chain '-' and a number from 1 on, of at most 10 digits and no leading zero. */
bool jg_jid_valid(const char *text, size_t size_bytes);

/* Which of its chain a valid jid is: 0 for the first. */
int64_t jg_jid_number(const char *jid);

/* The jid of its successor. `out` has JG_JID_CHARS + 1 bytes. False: its number is used up. */
JG_MUST_USE bool jg_jid_next(const char *jid, char *out);

#endif
