/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a claim's states in plugin/job.h, cell by cell, on both stores. */
#include "store_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define NONE JG_CLAIM_NONE
#define PROVISIONAL JG_CLAIM_PROVISIONAL
#define QUEUED JG_CLAIM_QUEUED
#define HELD JG_CLAIM_HELD
#define RUNNING JG_CLAIM_RUNNING
#define STATES 5

struct cell {
    enum jg_claim_state after;
    char owner; /* after it */
};

/* An event on the claim of job `a`; `z` is another job of the same key, registered as a candidate if `candidate`. */
struct row {
    const char *event;
    void (*act)(enum jg_claim_state before);
    bool candidate;                   /* `z` becomes a candidate before the event, where it can: while provisional */
    struct cell cells[STATES];        /* by the state before */
    enum jg_claim_state cannot_be[2]; /* states in which the event cannot happen */
};

static void
claim_other(enum jg_claim_state before)
{
    static const enum jg_claimed expected[STATES] = {[NONE] = JG_ORIGINAL,
                                                     [PROVISIONAL] = JG_CANDIDATE,
                                                     [QUEUED] = JG_DUPLICATE,
                                                     [HELD] = JG_DUPLICATE,
                                                     [RUNNING] = JG_DUPLICATE};
    expect_claimed(claim('z', EXECUTED), expected[before], 'a', before);
}

static void
claim_other_until_executing(enum jg_claim_state before)
{
    static const enum jg_claimed expected[STATES] = {[NONE] = JG_ORIGINAL,
                                                     [PROVISIONAL] = JG_CANDIDATE,
                                                     [QUEUED] = JG_DUPLICATE,
                                                     [HELD] = JG_DUPLICATE,
                                                     [RUNNING] = JG_ORIGINAL};
    expect_claimed(claim('z', EXECUTING), expected[before], 'a', before == RUNNING ? NONE : before);
}

static void
claim_same(enum jg_claim_state before)
{
    (void)before;
    expect_claimed(claim('a', EXECUTED), JG_ORIGINAL, 0, NONE);
}

static void
confirm_owner(enum jg_claim_state before)
{
    assert_int_equal(confirm('a'), before == PROVISIONAL);
}

static void
confirm_candidate(enum jg_claim_state before)
{
    assert_int_equal(confirm('z'), before == PROVISIONAL);
    if (before == PROVISIONAL)
        assert_string_equal(report().newest_acked_candidate, job('z'));
}

static void
keep_owner(enum jg_claim_state before)
{
    if (before == PROVISIONAL)
        subject_advance(&subject, PROVISIONAL_MS - 5000);
    assert_int_equal(keep('a'), before == PROVISIONAL);
    if (before == PROVISIONAL)
        assert_in_range(report().ttl_ms, PROVISIONAL_MS - 4000, PROVISIONAL_MS);
}

static void
release_owner(enum jg_claim_state before)
{
    assert_int_equal(release('a'), before == PROVISIONAL || before == QUEUED);
}

static void
admit_owner_until_executing(enum jg_claim_state before)
{
    (void)before;
    expect_run(admit('a', EXECUTING));
}

static void
admit_owner_until_executed(enum jg_claim_state before)
{
    (void)before;
    expect_run(admit_on('a', 1));
}

static void
hold_owner(enum jg_claim_state before)
{
    expect_hold(admit_paused('a'), JG_REASON_PAUSED);
    if (before != NONE)
        assert_in_range(report().ttl_ms, TTL_MS - 1000, TTL_MS);
}

static void
bury_owner(enum jg_claim_state before)
{
    assert_int_equal(done(operation(JG_OP_BURY, 'a')).changed, before != NONE && before != RUNNING);
}

static void
complete_owner(enum jg_claim_state before)
{
    assert_int_equal(complete_on('a', 1), before != NONE);
}

static void
let_ttl_pass(enum jg_claim_state before)
{
    subject_advance(&subject, before == PROVISIONAL ? PROVISIONAL_MS : TTL_MS);
}

static const struct row rows[] = {
    {"claim (other jid)",
     claim_other,
     false,
     {[NONE] = {PROVISIONAL, 'z'},
      [PROVISIONAL] = {PROVISIONAL, 'a'},
      [QUEUED] = {QUEUED, 'a'},
      [HELD] = {HELD, 'a'},
      [RUNNING] = {RUNNING, 'a'}},
     {0}},
    {"claim (other jid, until_executing)",
     claim_other_until_executing,
     false,
     {[NONE] = {PROVISIONAL, 'z'},
      [PROVISIONAL] = {PROVISIONAL, 'a'},
      [QUEUED] = {QUEUED, 'a'},
      [HELD] = {HELD, 'a'},
      [RUNNING] = {PROVISIONAL, 'z'}},
     {0}},
    {"claim (same jid)",
     claim_same,
     false,
     {[NONE] = {PROVISIONAL, 'a'},
      [PROVISIONAL] = {PROVISIONAL, 'a'},
      [QUEUED] = {QUEUED, 'a'},
      [HELD] = {HELD, 'a'},
      [RUNNING] = {RUNNING, 'a'}},
     {0}},
    {"confirm (owner)",
     confirm_owner,
     false,
     {[PROVISIONAL] = {QUEUED, 'a'}, [QUEUED] = {QUEUED, 'a'}, [HELD] = {HELD, 'a'}, [RUNNING] = {RUNNING, 'a'}},
     {0}},
    {"confirm (candidate)",
     confirm_candidate,
     true,
     {[PROVISIONAL] = {PROVISIONAL, 'a'}, [QUEUED] = {QUEUED, 'a'}, [HELD] = {HELD, 'a'}, [RUNNING] = {RUNNING, 'a'}},
     {0}},
    {"keep (owner)",
     keep_owner,
     false,
     {[PROVISIONAL] = {PROVISIONAL, 'a'}, [QUEUED] = {QUEUED, 'a'}, [HELD] = {HELD, 'a'}, [RUNNING] = {RUNNING, 'a'}},
     {0}},
    {"release (owner), no candidates", release_owner, false, {[HELD] = {HELD, 'a'}, [RUNNING] = {RUNNING, 'a'}}, {0}},
    {"release (owner), a candidate",
     release_owner,
     true,
     {[PROVISIONAL] = {PROVISIONAL, 'z'}, [HELD] = {HELD, 'a'}, [RUNNING] = {RUNNING, 'a'}},
     {0}},
    {"admit (owner), until_executing", admit_owner_until_executing, false, {[NONE] = {NONE, 0}}, {RUNNING}},
    {"admit (owner), until_executed",
     admit_owner_until_executed,
     false,
     {[PROVISIONAL] = {RUNNING, 'a'}, [QUEUED] = {RUNNING, 'a'}, [HELD] = {RUNNING, 'a'}, [RUNNING] = {RUNNING, 'a'}},
     {0}},
    {"admit (owner), held",
     hold_owner,
     false,
     {[PROVISIONAL] = {HELD, 'a'}, [QUEUED] = {HELD, 'a'}, [HELD] = {HELD, 'a'}},
     {RUNNING}},
    {"bury (owner), no candidates", bury_owner, false, {[RUNNING] = {RUNNING, 'a'}}, {0}},
    {"bury (owner), a candidate",
     bury_owner,
     true,
     {[PROVISIONAL] = {PROVISIONAL, 'z'}, [RUNNING] = {RUNNING, 'a'}},
     {0}},
    {"complete (owner's latest run)", complete_owner, false, {[NONE] = {NONE, 0}}, {0}},
    {"TTL passes", let_ttl_pass, false, {[NONE] = {NONE, 0}}, {0}},
};

static void
try_cell(const struct row *row, enum jg_claim_state before)
{
    print_message("           %s, %s\n", row->event, jg_claim_state_name(before));
    subject_flush(&subject);
    arrange(before, EXECUTED);
    if (row->candidate && before == PROVISIONAL)
        expect_claimed(claim('z', EXECUTED), JG_CANDIDATE, 'a', PROVISIONAL);
    row->act(before);
    expect_claim(row->cells[before].after, row->cells[before].owner);
}

void
every_cell_of_the_table_of_states_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int before = NONE; before < STATES; before++)
            if (rows[i].cannot_be[0] != (enum jg_claim_state)before || before == NONE)
                try_cell(&rows[i], (enum jg_claim_state)before);
}
