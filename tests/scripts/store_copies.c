/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of a chain's jobs, those that come up late, and what was lost of it. */
#include "store_links.h"
#include "store_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void
a_copy_of_a_started_job_is_skipped(void **state)
{
    (void)state;
    arrange_gauges(0, 5);
    expect_run(admit_link('a', 0, 17));
    expect_skipped(admit_link('a', 0, 18), JG_REASON_COPY);
    expect_run(admit_link('a', 2, 20));
    for (unsigned number = 0; number < 2; number++)
        expect_skipped(admit_link('a', number, 30), JG_REASON_COPY);
    expect_skipped(admit_link('a', 2, 21), JG_REASON_COPY);
    /* The same message, by another instance. */
    struct jg_op op = linked(JG_OP_ADMIT, 'a', 2, 20);
    op.member = member_at(op.jid, 2, 20);
    expect_run(done(op));
}

/* Its message is at another position by then: whoever comes first stands for it. */
void
a_job_that_was_held_while_it_ran_gets_the_successor_where_it_comes_up(void **state)
{
    (void)state;
    arrange_gauges(1, 5);
    expect_run(admit_link('a', 1, 17));
    set_load(CAPACITY);
    struct jg_op op = linked(JG_OP_ADMIT, 'a', 1, 17);
    op.member = member_at(op.jid, 2, 17);
    expect_hold(done(op), JG_REASON_CAPACITY);
    expect_next(complete_link('a', 1, 17), link_of('a', 2), true);
    for (unsigned position = 30; position < 33; position++) {
        op = admit_link('a', 1, position);
        expect_skipped(op, JG_REASON_DONE);
        assert_string_equal(op.next, position == 30 ? link_of('a', 2) : "");
    }
    op = admit_link('a', 1, 30);
    assert_string_equal(op.next, link_of('a', 2));
}

/* The end of job `a` on an instance of that number. */
static struct jg_op
failing(unsigned instance, bool failed)
{
    struct jg_op op = operation(JG_OP_COMPLETE, 'a');
    op.member = member_of(op.jid, instance);
    op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    op.failed = failed;
    return op;
}

/* Whoever ended it may have died before it enqueued it again: whoever ran it too and finishes the offset does so. */
void
a_retry_that_its_run_did_not_enqueue_is_enqueued_by_the_run_that_ends_after_it(void **state)
{
    (void)state;
    for (int failed = 0; failed < 2; failed++) {
        subject_flush(&subject);
        arrange(JG_CLAIM_RUNNING, EXECUTED);
        expect_run(admit_on('a', 2));
        expect_next(done(failing(1, true)), link_of('a', 1), true);
        expect_claim(JG_CLAIM_RUNNING, 'a');
        struct jg_op op = failing(2, failed);
        op.done_ttl_ms = DONE_TTL_MS;
        op.lease = failed ? JG_LEASE_NONE : JG_LEASE_CLASS; /* else nobody asks what is done */
        op = done(op);
        assert_false(op.changed);
        assert_string_equal(op.next, link_of('a', 1));
        assert_true(op.next_waits);
        /* Its slot is free, and its claim the successor's. */
        assert_int_equal(class_report().running, 0);
        assert_int_equal(report().state, JG_CLAIM_HELD);
        assert_string_equal(report().owner, link_of('a', 1));
        assert_int_equal(class_report().held, 1);
    }
}

void
a_run_that_ends_after_the_successor_started_gives_it_no_claim(void **state)
{
    (void)state;
    arrange(JG_CLAIM_RUNNING, EXECUTED);
    expect_run(admit_on('a', 2));
    expect_next(done(failing(1, true)), link_of('a', 1), true);
    (void)take("", 0);
    expect_run(admit_link('a', 1, 18));
    struct jg_op op = done(failing(2, true));
    assert_false(op.changed);
    assert_string_equal(op.next, link_of('a', 1));
    expect_no_claim();
}

void
a_run_that_ends_late_changes_nothing_of_the_run_that_ended_before(void **state)
{
    (void)state;
    arrange_gauges(0, 5);
    expect_run(admit_link('a', 0, 17));
    subject_advance(&subject, RUN_TTL_MS + 1000);
    struct jg_op op = linked(JG_OP_ADMIT, 'a', 0, 17);
    op.member = member_at(op.jid, 2, 17);
    expect_run(done(op));
    op.kind = JG_OP_COMPLETE;
    expect_next(done(op), link_of('a', 1), false);
    expect_run(admit_link('a', 1, 18));
    op = complete_link('a', 0, 17);
    assert_false(op.changed);
    assert_string_equal(op.next, link_of('a', 1));
    assert_int_equal(class_report().running, 1);
    expect_next(complete_link('a', 1, 18), link_of('a', 2), false);
}

/* Its program closes before it is at its end; it is delivered again, here or elsewhere, in due time. */
void
a_run_that_leaves_frees_its_slot_and_lease_and_ends_nothing(void **state)
{
    (void)state;
    arrange(JG_CLAIM_QUEUED, EXECUTED);
    arrange_gauges(0, 5);
    struct jg_op op = linked(JG_OP_ADMIT, 'a', 0, 17);
    op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    op.lease = JG_LEASE_CLASS;
    expect_run(done(op));
    struct jg_op leave = op;
    leave.kind = JG_OP_COMPLETE;
    leave.leave = true;
    leave = done(leave);
    expect_next(leave, "", false);
    assert_false(done(leave).changed);
    assert_int_equal(class_report().running, 0);
    expect_claim(JG_CLAIM_RUNNING, 'a');
    struct jg_op other = linked(JG_OP_ADMIT, 'b', 0, 20);
    other.lease = JG_LEASE_CLASS;
    expect_run(done(other));
    other.kind = JG_OP_COMPLETE;
    expect_next(done(other), link_of('b', 1), false);
    /* What started is known as long as before. */
    subject_advance(&subject, DONE_TTL_MS + 1000);
    struct jg_op copy = op;
    copy.member = member_at(op.jid, 1, 18);
    expect_skipped(done(copy), JG_REASON_COPY);
    op.member = member_at(op.jid, 2, 17);
    expect_run(done(op));
    op.kind = JG_OP_COMPLETE;
    expect_next(done(op), link_of('a', 1), false);
}

void
a_run_that_failed_does_not_come_back_in_a_class_of_any_kind(void **state)
{
    (void)state;
    for (unsigned number = 0; number < 2; number++) {
        subject_flush(&subject);
        struct jg_op op = linked(JG_OP_ADMIT, 'a', number, 17);
        op.capacity = 0;
        op.limit = 2;
        op = done(op);
        expect_run(op);
        struct jg_op renewal = op;
        op.kind = JG_OP_COMPLETE;
        op.failed = true;
        expect_next(done(op), link_of('a', number + 1), true);
        subject_new_epoch(&subject);
        renewal.kind = JG_OP_RENEW;
        renewal.epoch_in = renewal.epoch;
        assert_false(done(renewal).changed);
        assert_int_equal(class_report().running, 0);
    }
}

/* In an epoch in which nothing is waited for. */
static struct jg_op
admit_fresh(char letter, unsigned number, unsigned position)
{
    struct jg_op op = linked(JG_OP_ADMIT, letter, number, position);
    op.fresh = JG_FRESH_ALWAYS;
    return done(op);
}

/* It may end before it is renewed, by which it would be put back. */
void
a_run_that_the_store_lost_continues_its_chain(void **state)
{
    (void)state;
    arrange_gauges(0, 5);
    int64_t epoch = admit_link('a', 3, 18).epoch;
    subject_lose(&subject);
    arrange_gauges(0, 5);
    struct jg_op op = linked(JG_OP_COMPLETE, 'a', 3, 18);
    op.epoch_in = epoch;
    expect_next(done(op), link_of('a', 4), false);
    expect_next(done(op), link_of('a', 4), false);
    /* When another has taken its number over meanwhile, that one does. */
    epoch = admit_fresh('a', 4, 19).epoch;
    subject_lose(&subject);
    arrange_gauges(0, 5);
    expect_run(admit_fresh('a', 4, 20));
    op = linked(JG_OP_COMPLETE, 'a', 4, 19);
    op.epoch_in = epoch;
    assert_string_equal(done(op).next, "");
    expect_next(complete_link('a', 4, 20), link_of('a', 5), false);
    /* Nothing was lost: it had expired. */
    subject_flush(&subject);
    arrange_gauges(0, 5);
    op = linked(JG_OP_COMPLETE, 'a', 5, 21);
    op.epoch_in = admit_fresh('b', 0, 22).epoch;
    assert_string_equal(done(op).next, "");
}

void
newcomers_go_behind_a_successor_that_waits(void **state)
{
    (void)state;
    arrange_gauges(0, 5);
    expect_run(admit_link('a', 0, 17));
    set_load(CAPACITY);
    expect_next(complete_link('a', 0, 17), link_of('a', 1), true);
    expect_next(complete_link('a', 0, 17), link_of('a', 1), true);
    assert_int_equal(class_report().held, 1);
    set_load(0);
    expect_hold(admit_link('b', 0, 18), JG_REASON_BEHIND);
}
