/* SPDX-License-Identifier: Apache-2.0 */
#include "store_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PROVISIONAL JG_CLAIM_PROVISIONAL
#define QUEUED JG_CLAIM_QUEUED
#define RUNNING JG_CLAIM_RUNNING

/* Claim a, and b as its candidate. */
static void
arrange_candidate(int mode)
{
    arrange(PROVISIONAL, mode);
    expect_claimed(claim('b', mode), JG_CANDIDATE, 'a', PROVISIONAL);
}

static int64_t
running(void)
{
    struct jg_class_report found;
    assert_int_equal(jg_store_class_report(subject.store, subject.class_name, &found), JG_OK);
    return found.running;
}

void
an_original_always_runs(void **state)
{
    (void)state;
    for (int in = JG_CLAIM_NONE; in <= RUNNING; in++) {
        for (int mode = EXECUTING; mode <= EXECUTED; mode++) {
            subject_flush(&subject);
            arrange((enum jg_claim_state)in, EXECUTED);
            expect_run(admit('a', mode));
            /* ... as does one whose key is claimed by another. */
            expect_run(admit('b', mode));
        }
    }
}

/* Every state that the claim of its key can be in when it comes again: gone, its own, another's, with or without a
 * record of its first run. */
void
a_redelivered_original_always_runs(void **state)
{
    (void)state;
    for (int mode = EXECUTING; mode <= EXECUTED; mode++) {
        subject_flush(&subject);
        arrange_candidate(mode);
        expect_run(admit('a', mode));
        expect_run(admit('a', mode));
        if (mode == EXECUTED)
            assert_true(complete_on('a', 1));
        assert_true(was('a'));
        expect_run(admit('a', mode));
        expect_claimed(claim('c', mode), JG_ORIGINAL, 0, JG_CLAIM_NONE);
        expect_run(admit('a', mode));
        assert_true(confirm('c'));
        expect_run(admit('a', mode));
        expect_claim(QUEUED, 'c');
        expect_run(admit('c', mode));
        expect_run(admit('a', mode));
        /* One that inherited the claim, and came as a candidate, is an original too. */
        subject_flush(&subject);
        arrange_candidate(mode);
        assert_true(confirm('b'));
        assert_true(release('a'));
        expect_run(admit_candidate('b', mode, 'a'));
        expect_run(admit_candidate('b', mode, 'a'));
    }
}

void
a_foreign_job_runs_and_changes_nothing(void **state)
{
    (void)state;
    arrange(QUEUED, EXECUTED);
    struct jg_op op = operation(JG_OP_ADMIT, 'a');
    op.jid = "jobs/0/1234";
    op.member = "jobs/0/1234@instance@jobs/0/1234";
    expect_run(done(op));
    expect_claim(QUEUED, 'a');
    assert_int_equal(running(), 0);
    op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    expect_run(done(op));
    expect_claim(QUEUED, 'a');
    assert_int_equal(running(), 1);
    op.kind = JG_OP_COMPLETE;
    assert_true(done(op).changed);
    expect_claim(QUEUED, 'a');
    assert_int_equal(running(), 0);
}

void
a_candidate_is_skipped_while_its_original_is_queued(void **state)
{
    (void)state;
    for (int mode = EXECUTING; mode <= EXECUTED; mode++) {
        subject_flush(&subject);
        arrange_candidate(mode);
        assert_true(confirm('a'));
        expect_skip(admit_candidate('b', mode, 'a'), 'a');
        expect_skip(admit_candidate('b', mode, 'a'), 'a');
        expect_claim(QUEUED, 'a');
        assert_int_equal(running(), 0);
    }
}

void
a_candidate_is_skipped_when_its_original_came_up(void **state)
{
    (void)state;
    for (int mode = EXECUTING; mode <= EXECUTED; mode++) {
        subject_flush(&subject);
        arrange_candidate(mode);
        expect_run(admit('a', mode));
        if (mode == EXECUTED)
            assert_true(complete_on('a', 1));
        expect_no_claim();
        expect_skip(admit_candidate('b', mode, 'a'), 'a');
        /* ... whoever has the key by now. */
        (void)claim('c', mode);
        expect_skip(admit_candidate('b', mode, 'a'), 'a');
    }
}

void
a_candidate_is_skipped_while_its_original_runs_until_executed(void **state)
{
    (void)state;
    arrange_candidate(EXECUTED);
    expect_run(admit_on('a', 1));
    expect_skip(admit_candidate('b', EXECUTED, 'a'), 'a');
    expect_claim(RUNNING, 'a');
}

void
a_candidate_runs_while_its_original_is_provisional(void **state)
{
    (void)state;
    arrange_candidate(EXECUTING);
    expect_run(admit_candidate('b', EXECUTING, 'a'));
    expect_claim(PROVISIONAL, 'a');
}

void
a_candidate_runs_when_its_original_failed(void **state)
{
    (void)state;
    arrange_candidate(EXECUTING);
    assert_true(release('b'));
    assert_true(release('a'));
    expect_no_claim();
    expect_run(admit_candidate('b', EXECUTING, 'a'));
}

void
a_candidate_runs_when_its_original_was_never_heard_of(void **state)
{
    (void)state;
    expect_run(admit_candidate('b', EXECUTING, 'a'));
    expect_run(admit_candidate('b', EXECUTED, 'a'));
}

void
a_candidate_that_inherited_the_claim_runs(void **state)
{
    (void)state;
    arrange_candidate(EXECUTING);
    assert_true(release('a'));
    expect_claim(PROVISIONAL, 'b');
    expect_run(admit_candidate('b', EXECUTING, 'a'));
    expect_no_claim();
    /* The claim had candidates, so its last owner leaves a record. */
    assert_true(was('b'));
}

void
a_candidate_runs_when_another_inherited_the_claim(void **state)
{
    (void)state;
    arrange_candidate(EXECUTING);
    expect_claimed(claim('c', EXECUTING), JG_CANDIDATE, 'a', PROVISIONAL);
    assert_true(confirm('c'));
    assert_true(release('a'));
    expect_claim(QUEUED, 'c');
    expect_run(admit_candidate('b', EXECUTING, 'a'));
    expect_claim(QUEUED, 'c');
}

void
a_candidate_that_ran_is_no_heir(void **state)
{
    (void)state;
    arrange_candidate(EXECUTING);
    assert_true(confirm('b'));
    expect_run(admit_candidate('b', EXECUTING, 'a'));
    assert_true(release('a'));
    expect_no_claim();
}

void
a_candidate_that_was_skipped_is_no_heir(void **state)
{
    (void)state;
    arrange_candidate(EXECUTING);
    assert_true(confirm('b'));
    assert_true(confirm('a'));
    expect_skip(admit_candidate('b', EXECUTING, 'a'), 'a');
    assert_true(release('a'));
    expect_no_claim();
}

/* Its acknowledgement is seen after it ran: were it remembered, a claim that nothing will release could go to it. */
void
a_late_acknowledgement_of_an_admitted_candidate_confirms_nothing(void **state)
{
    (void)state;
    arrange_candidate(EXECUTING);
    expect_run(admit_candidate('b', EXECUTING, 'a'));
    assert_false(confirm('b'));
    assert_true(release('a'));
    expect_no_claim();
}

void
a_candidate_that_runs_again_on_the_same_run_is_told_run(void **state)
{
    (void)state;
    arrange_candidate(EXECUTED);
    expect_run(admit_candidate('b', EXECUTED, 'a'));
    assert_true(confirm('a'));
    expect_run(admit_candidate('b', EXECUTED, 'a'));
    assert_int_equal(running(), 1);
}

/* It crashed in its first run. Its original comes up after it was produced, so nothing is lost. */
void
a_candidate_that_ran_may_be_skipped_once_its_original_is_certain(void **state)
{
    (void)state;
    arrange_candidate(EXECUTING);
    expect_run(admit_candidate('b', EXECUTING, 'a'));
    expect_run(admit_candidate('b', EXECUTING, 'a'));
    assert_true(confirm('a'));
    expect_skip(admit_candidate('b', EXECUTING, 'a'), 'a');
    expect_run(admit('a', EXECUTING));
    expect_skip(admit_candidate('b', EXECUTING, 'a'), 'a');
}

/* The original runs until_executed, and the store lost that it started; the candidate came after. That its original
 * runs, or ran to its end, says nothing for a job that wants to be *started* after it was produced. */
void
an_until_executing_candidate_is_not_skipped_for_a_run_that_started_before(void **state)
{
    (void)state;
    arrange(QUEUED, EXECUTED);
    subject_snapshot(&subject);
    int64_t epoch = admit_on('a', 1).epoch;
    subject_rewind(&subject);
    expect_claimed(claim('b', EXECUTING), JG_CANDIDATE, 'a', PROVISIONAL);
    assert_true(renew_on('a', 1, epoch).changed);
    expect_claim(RUNNING, 'a');
    expect_run(admit_candidate('b', EXECUTING, 'a'));
    assert_true(complete_on('a', 1));
    assert_true(was('a'));
    expect_run(admit_candidate('b', EXECUTING, 'a'));
    /* For until_executed the work was unfinished: that is enough. */
    expect_skip(admit_candidate('c', EXECUTED, 'a'), 'a');
}

void
a_claim_that_had_candidates_leaves_a_record(void **state)
{
    (void)state;
    for (int mode = EXECUTING; mode <= EXECUTED; mode++) {
        subject_flush(&subject);
        arrange(PROVISIONAL, mode);
        expect_run(admit('a', mode));
        if (mode == EXECUTED)
            assert_true(complete_on('a', 1));
        expect_no_claim();
        assert_false(was('a'));
        subject_flush(&subject);
        arrange_candidate(mode);
        assert_false(was('a'));
        expect_run(admit('a', mode));
        assert_int_equal(was('a'), mode == EXECUTING);
        if (mode == EXECUTED)
            assert_true(complete_on('a', 1));
        assert_true(was('a'));
        assert_false(was('b'));
    }
}

void
a_record_turns_no_newcomer_away(void **state)
{
    (void)state;
    arrange_candidate(EXECUTING);
    expect_run(admit('a', EXECUTING));
    assert_true(was('a'));
    expect_claimed(claim('c', EXECUTING), JG_ORIGINAL, 0, JG_CLAIM_NONE);
    expect_run(admit('c', EXECUTING));
}

void
a_record_is_gone_after_its_time(void **state)
{
    (void)state;
    arrange_candidate(EXECUTING);
    expect_run(admit('a', EXECUTING));
    subject_advance(&subject, TTL_MS - 5000);
    assert_true(was('a'));
    subject_advance(&subject, 5000);
    assert_false(was('a'));
    expect_run(admit_candidate('b', EXECUTING, 'a'));
}

void
a_completed_run_ends_its_claim(void **state)
{
    (void)state;
    arrange(RUNNING, EXECUTED);
    assert_int_equal(running(), 1);
    expect_claimed(claim('b', EXECUTED), JG_DUPLICATE, 'a', RUNNING);
    assert_true(complete_on('a', 1));
    assert_int_equal(running(), 0);
    expect_claimed(claim('b', EXECUTED), JG_ORIGINAL, 0, JG_CLAIM_NONE);
}

void
an_earlier_run_does_not_end_the_claim_of_a_later_one(void **state)
{
    (void)state;
    arrange(RUNNING, EXECUTED);
    expect_run(admit_on('a', 2));
    assert_int_equal(running(), 2);
    assert_string_equal(report().member, member_of(job('a'), 2));
    assert_true(complete_on('a', 1));
    expect_claim(RUNNING, 'a');
    assert_true(complete_on('a', 2));
    expect_no_claim();
}

void
completing_again_changes_nothing(void **state)
{
    (void)state;
    arrange(RUNNING, EXECUTED);
    assert_true(complete_on('a', 1));
    assert_false(complete_on('a', 1));
    (void)claim('b', EXECUTED);
    assert_false(complete_on('a', 1));
    expect_claim(PROVISIONAL, 'b');
}

void
a_renewed_run_keeps_its_claim(void **state)
{
    (void)state;
    arrange(RUNNING, EXECUTED);
    int64_t epoch = admit_on('a', 1).epoch;
    for (int64_t ran_ms = 0; ran_ms < 2 * TTL_MS; ran_ms += RUN_TTL_MS - 5000) {
        subject_advance(&subject, RUN_TTL_MS - 5000);
        struct jg_op renewed = renew_on('a', 1, epoch);
        assert_true(renewed.changed);
        assert_int_equal(renewed.epoch, epoch);
    }
    expect_claim(RUNNING, 'a');
    assert_int_equal(running(), 1);
}

void
a_run_that_expired_does_not_come_back(void **state)
{
    (void)state;
    arrange(RUNNING, EXECUTED);
    int64_t epoch = admit_on('a', 1).epoch;
    subject_advance(&subject, RUN_TTL_MS);
    assert_int_equal(running(), 0);
    assert_false(renew_on('a', 1, epoch).changed);
    assert_int_equal(running(), 0);
    /* The work is unfinished all the same, and its end ends the claim. */
    expect_claim(RUNNING, 'a');
    assert_true(complete_on('a', 1));
    expect_no_claim();
}

/* Its end was seen late: by then nobody knows whether the work ended before the candidate was produced. */
void
a_run_that_expired_leaves_no_record(void **state)
{
    (void)state;
    arrange_candidate(EXECUTED);
    expect_run(admit_on('a', 1));
    subject_advance(&subject, RUN_TTL_MS);
    expect_claimed(claim('c', EXECUTED), JG_CANDIDATE, 'a', PROVISIONAL);
    assert_true(complete_on('a', 1));
    assert_false(was('a'));
    expect_run(admit_candidate('c', EXECUTED, 'a'));
}

void
renewing_never_creates_a_claim(void **state)
{
    (void)state;
    int64_t epoch = admit_on('a', 1).epoch;
    assert_true(renew_on('a', 1, epoch).changed);
    expect_no_claim();
    (void)claim('b', EXECUTED);
    assert_true(renew_on('a', 1, epoch).changed);
    expect_claim(PROVISIONAL, 'b');
}
