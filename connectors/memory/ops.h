/* SPDX-License-Identifier: Apache-2.0 */
/* The operations in memory: what their files share. */
#ifndef JG_CONNECTORS_MEMORY_OPS_H
#define JG_CONNECTORS_MEMORY_OPS_H

#include "connectors/memory/memory.h"

/* The claim of the operation's key; NULL: none. */
struct jg_memory_claim *jg_memory_find_claim(struct jg_memory_class *class, const struct jg_op *op, int64_t now_ms);
bool jg_memory_is_owner(const struct jg_memory_claim *claim, const struct jg_op *op);

/* Certain to come up for admission, or running and renewed: by such a claim an equal job is turned away. */
bool jg_memory_is_certain(struct jg_memory_class *class, const struct jg_memory_claim *claim, int64_t now_ms);

/* `jid` was admitted, failed or was dropped: no heir any more. False: it was none. */
bool jg_memory_forget_candidate(struct jg_memory_claim *claim, const char *jid);

/* To the heir. False: there is none, and the claim is gone. */
bool jg_memory_pass_on(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms,
                       const struct jg_op *op);

/* A live member of `run`; leaves expired ones to be reaped. NULL: none. */
struct jg_map_entry *jg_memory_member(struct jg_memory_class *class, const char *member, int64_t now_ms);

/* Remove the expired members of `run`. Returns how many there were. */
size_t jg_memory_reap(struct jg_memory_class *class, int64_t now_ms);

/* A slot, or a ticket's place, got free: worth a look when jobs are held. */
void jg_memory_wake_resumer(struct jg_memory_class *class);

/* As `settle` and `limit_by` in prelude.lua. */
bool jg_memory_settle(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op);
int64_t jg_memory_limit(const struct jg_memory_class *class, int64_t own);

/* In ops_leases.c, as their like in runs.lua. `jid` of any form. */
int64_t jg_memory_number(const char *jid);
bool jg_memory_same_chain(const char *one, const char *other);
/* topic/partition/offset of a member; empty: it has none. */
const char *jg_memory_position(const char *member);
/* Must a run of it be a member of `run`? */
bool jg_memory_lasts(const struct jg_op *op);

/* Of the operation's kind of lease. NULL: it was never given. */
struct jg_memory_lease *jg_memory_find_lease(struct jg_memory_class *class, const struct jg_op *op, int64_t now_ms);
/* Of a job key; "": of the class. */
bool jg_memory_lease_lives(struct jg_memory_class *class, const char *key, int64_t now_ms);
JG_MUST_USE enum jg_err jg_memory_give_lease(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op,
                                             int64_t token);
struct jg_memory_chain *jg_memory_find_chain(struct jg_memory_class *class, const char *jid, int64_t now_ms);
JG_MUST_USE enum jg_err jg_memory_set_chain(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op,
                                            const char *member, int64_t ttl_ms);
/* Is the job in a chain, by its class or its number? Of others with a lease it is kept, briefly, that they started. */
bool jg_memory_is_chained(const struct jg_op *op);
int64_t jg_memory_chain_ttl_ms(const struct jg_op *op);
struct jg_memory_done *jg_memory_find_done(struct jg_memory_class *class, const char *jid, int64_t now_ms);
JG_MUST_USE enum jg_err jg_memory_set_done(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op,
                                           const char *member, const char *next, bool waits, const char *at,
                                           int64_t ttl_ms);
/* Its value; negative: there is none of that name, or none is named. */
int64_t jg_memory_gauge(const struct jg_memory_class *class, const char *key, enum jg_gauge *trouble);

/* In ops_keys.c, likewise. How many runs of a limit's key live; of the operation's own: it lives on, or is over. */
int64_t jg_memory_key_runs(struct jg_memory_class *class, const char *limit_key, int64_t now_ms);
JG_MUST_USE enum jg_err jg_memory_keep_key_run(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op);
void jg_memory_leave_key_run(struct jg_memory_class *class, const struct jg_op *op);
/* Of which others of the job's kind are told apart, and go behind it: how many there are; none: all of the class do. */
#define JG_MEMORY_OWN_KEYS 2
size_t jg_memory_own_keys(const struct jg_op *op, char (*keys)[JG_KEY_CHARS + 1]);
/* Its job is held. */
JG_MUST_USE enum jg_err jg_memory_hold_keys(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op,
                                            bool waits_for_class);
int64_t jg_memory_key_tickets(const struct jg_memory_class *class, const char *limit_key);
bool jg_memory_job_key_has_ticket(const struct jg_memory_class *class, const char *jid);
bool jg_memory_goes_behind_its_own(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op);
/* In ops_slots.c, as their like in runs.lua: how many are taken, and the job's own (NULL: none). */
int64_t jg_memory_slots_taken(struct jg_memory_class *class, int64_t now_ms);
struct jg_map_entry *jg_memory_find_slot(struct jg_memory_class *class, const char *jid, int64_t now_ms);
JG_MUST_USE enum jg_err jg_memory_take_slot(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op,
                                            bool runs);
JG_MUST_USE enum jg_err jg_memory_keep_slot(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op);
JG_MUST_USE enum jg_err jg_memory_put_slot_back(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op,
                                                int64_t ttl_ms);
/* The load, by a gauge or by slots, as the operation or (TAKE) the class says. */
int64_t jg_memory_load(struct jg_memory_class *class, int64_t now_ms, bool slots, const char *key,
                       enum jg_gauge *trouble);

/* In ops_follow.c, as their like in follow.lua and beside it. */
/* The claim is made: newer than the follow-ups of those before it. */
void jg_memory_follow_newer(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms,
                            const struct jg_op *op);
/* A duplicate that may have to run after its original gets its number. `told`: it has had it before. */
JG_MUST_USE enum jg_err jg_memory_follow_claim(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op,
                                               bool *told);
/* True: it is the newest in the log from now on. */
bool jg_memory_follow_confirm(struct jg_memory_class *class, struct jg_memory_claim *claim, int64_t now_ms,
                              const struct jg_op *op);
void jg_memory_follow_release(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op);
void jg_memory_follow_bury(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op);
/* What is said to one that comes up: HOLD; LATER, for grace; SKIP, with its original; RUN: the claim (NULL: there was
 * none) is its own.
 */
JG_MUST_USE enum jg_err jg_memory_follow(struct jg_memory_class *class, struct jg_memory_claim **claim, int64_t now_ms,
                                         struct jg_op *op, enum jg_verdict *verdict);
/* The claim's owner starts: it stands for all follow-ups that are older. */
JG_MUST_USE enum jg_err jg_memory_follow_start(struct jg_memory_class *class, const struct jg_memory_claim *claim,
                                               int64_t now_ms, const struct jg_op *op);
/* It still runs, so what is known of its follow-ups is kept. */
void jg_memory_follow_keep(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op);
/* Does one that is held have to wait still? `gone`: it will be skipped, so it may go. */
bool jg_memory_follow_waits(struct jg_memory_class *class, int64_t now_ms, const char *jid, struct jg_op *op,
                            bool *gone);
/* The follow-up that the claim of a job that ended goes to; NULL: none. */
const struct jg_memory_fol *jg_memory_follow_heir(struct jg_memory_class *class, const struct jg_memory_claim *claim,
                                                  int64_t now_ms, const struct jg_op *op);

/* False: it had no ticket. */
bool jg_memory_drop_ticket(struct jg_memory_class *class, const char *jid);

/* Leave for `dedup.ttl.ms` that the claim of the operation's job had candidates, and ended by its run. */
JG_MUST_USE enum jg_err jg_memory_leave_was(struct jg_memory_class *class, int64_t now_ms, const struct jg_op *op,
                                            enum jg_dedup dedup);

enum jg_err jg_memory_admit(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op);
enum jg_err jg_memory_renew(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op);
enum jg_err jg_memory_complete(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op);
enum jg_err jg_memory_take(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op);
enum jg_err jg_memory_place(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op);
enum jg_err jg_memory_drop(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op);
enum jg_err jg_memory_bury(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op);
enum jg_err jg_memory_mark(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op);
enum jg_err jg_memory_sync(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op);
enum jg_err jg_memory_lead(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op);
enum jg_err jg_memory_group(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op);
enum jg_err jg_memory_free(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op);
enum jg_err jg_memory_announce(struct jg_memory_class *class, int64_t now_ms, struct jg_op *op);

void jg_memory_claim_destroy(struct jg_map_entry *entry);
void jg_memory_ticket_destroy(struct jg_map_entry *entry);
/* For entries that own nothing. */
void jg_memory_plain_destroy(struct jg_map_entry *entry);

#endif
