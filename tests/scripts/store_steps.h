/* SPDX-License-Identifier: Apache-2.0 */
/* Single operations on the store under test, for tests that read as a story. Jobs are letters; all of one job key. */
#ifndef JG_TESTS_STORE_STEPS_H
#define JG_TESTS_STORE_STEPS_H

#include "store_support.h"

#define TTL_MS 600000
#define PROVISIONAL_MS 30000
#define RUN_TTL_MS 30000
#define GRACE_MS 12000

enum { EXECUTING = JG_DEDUP_UNTIL_EXECUTING, EXECUTED = JG_DEDUP_UNTIL_EXECUTED };

/* The store under test; set by the group's setup. */
extern struct subject subject;

const char *job(char letter);

/* An operation with the settings above, ready to be changed. */
struct jg_op operation(enum jg_op_kind kind, char letter);
/* Carry it out; the test fails when it fails. */
struct jg_op done(struct jg_op op);

struct jg_op claim(char letter, int mode);
bool confirm(char letter);
bool keep(char letter);
bool release(char letter);
struct jg_op admit(char letter, int mode);
struct jg_op admit_candidate(char letter, int mode, char original);
/* The run of the job on an instance of that number. */
struct jg_op admit_on(char letter, unsigned instance);
/* Of a class that is paused: it is held. */
struct jg_op admit_paused(char letter);
struct jg_op renew_on(char letter, unsigned instance, int64_t epoch_in);
bool complete_on(char letter, unsigned instance);

/* Admissions of a class with that limit: not yet carried out, and carried out. */
struct jg_op limited(char letter, int64_t limit);
struct jg_op resumed(char letter, int64_t limit);
struct jg_op admit_limited(char letter, int64_t limit);
struct jg_op admit_resumed(char letter, int64_t limit);
/* Tickets for the jobs of `letters`; `held` (from 17 ms after the epoch on), negative: not known. */
struct jg_op take(const char *letters, int held);
bool drop(char letter);
/* The settings say so. */
void tell(int64_t limit, int64_t ahead);
struct jg_override set_override(bool set, int64_t limit);

struct jg_class_report class_report(void);
/* The class's counter of that name, which it must have. */
int64_t counter(const char *name);
struct jg_claim_report report(void);
bool was(char letter);

void expect_claimed(struct jg_op op, enum jg_claimed claimed, char original, enum jg_claim_state state);
void expect_run(struct jg_op op);
void expect_hold(struct jg_op op, enum jg_reason reason);
void expect_later(struct jg_op op, enum jg_reason reason);
void expect_skip(struct jg_op op, char original);
void expect_claim(enum jg_claim_state state, char owner);
void expect_no_claim(void);

/* Bring the claim, from none, into that state, owned by job `a` in `mode`. */
void arrange(enum jg_claim_state state, int mode);

/* The keys of the class's gauges: of `load`, of `work`. */
const char *gauge_of(const char *what);
void set_load(int64_t value);

#endif
