/* SPDX-License-Identifier: Apache-2.0 */
/* Single operations on the store under test, for tests that read as a story. Jobs are letters; all of one job key. */
#ifndef JG_TESTS_STORE_STEPS_H
#define JG_TESTS_STORE_STEPS_H

#include "store_support.h"

#define TTL_MS 600000
#define PROVISIONAL_MS 30000
#define RUN_TTL_MS 30000

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
struct jg_op renew_on(char letter, unsigned instance, int64_t epoch_in);
bool complete_on(char letter, unsigned instance);

struct jg_claim_report report(void);
bool was(char letter);

void expect_claimed(struct jg_op op, enum jg_claimed claimed, char original, enum jg_claim_state state);
void expect_run(struct jg_op op);
void expect_skip(struct jg_op op, char original);
void expect_claim(enum jg_claim_state state, char owner);
void expect_no_claim(void);

/* Bring the claim, from none, into that state, owned by job `a` in `mode`. */
void arrange(enum jg_claim_state state, int mode);

#endif
