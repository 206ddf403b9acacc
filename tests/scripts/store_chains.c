/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that are enqueued again: chains, capacity, failures. */
#include "store_links.h"
#include "store_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void
a_job_below_capacity_runs_and_goes_on(void **state)
{
    (void)state;
    arrange_gauges(1, 5);
    struct jg_op op = admit_link('a', 0, 17);
    expect_run(op);
    assert_int_equal(op.load_now, 1);
    assert_int_equal(op.gauge, JG_GAUGE_FINE);
    assert_true(op.token == 0);
    op = complete_link('a', 0, 17);
    expect_next(op, link_of('a', 1), false);
    assert_int_equal(op.load_now, 1);
    expect_run(admit_link('a', 1, 18));
    expect_next(complete_link('a', 1, 18), link_of('a', 2), false);
}

void
a_job_at_capacity_is_held_and_its_successor_waits(void **state)
{
    (void)state;
    arrange_gauges(1, 5);
    expect_run(admit_link('a', 0, 17));
    set_load(CAPACITY);
    expect_hold(admit_link('b', 0, 20), JG_REASON_CAPACITY);
    struct jg_op op = complete_link('a', 0, 17);
    expect_next(op, link_of('a', 1), true);
    assert_int_equal(op.load_now, CAPACITY);
}

void
a_ticketed_job_at_capacity_waits_and_is_then_held(void **state)
{
    (void)state;
    tell(1, 0);
    assert_int_equal(take("a", 1).granted, 1);
    arrange_gauges(CAPACITY, 5);
    struct jg_op op = linked(JG_OP_ADMIT, 'a', 0, 17);
    op.resumed = true;
    expect_later(done(op), JG_REASON_CAPACITY);
    op.last_try = true;
    expect_hold(done(op), JG_REASON_CAPACITY);
}

void
a_chain_ends_when_no_work_remains(void **state)
{
    (void)state;
    arrange_gauges(0, 0);
    expect_run(admit_link('a', 0, 17));
    expect_next(complete_link('a', 0, 17), "", false);
    expect_skipped(admit_link('a', 0, 18), JG_REASON_DONE);
    /* A gauge that does not exist is one of 0. */
    set_work(-1);
    expect_run(admit_link('b', 0, 20));
    expect_next(complete_link('b', 0, 20), "", false);
}

void
without_a_gauge_of_work_there_is_always_more(void **state)
{
    (void)state;
    arrange_gauges(-1, -1);
    struct jg_op op = admit_link('a', 0, 17);
    expect_run(op);
    assert_int_equal(op.load_now, 0);
    assert_int_equal(op.gauge, JG_GAUGE_ABSENT);
    op = linked(JG_OP_COMPLETE, 'a', 0, 17);
    op.work_key = NULL;
    op = done(op);
    expect_next(op, link_of('a', 1), false);
    assert_int_equal(op.gauge, JG_GAUGE_ABSENT);
}

void
a_wrong_gauge_counts_as_full_and_as_work(void **state)
{
    static const char *const wrongs[] = {"SET %s hello",     "SET %s -1",  "SET %s 0x10",
                                         "SET %s nan",       "SET %s 1e3", "SET %s 12345678901234567890",
                                         "SETBIT %s 2000 1", "SET %s inf"};
    (void)state;
    if (subject.kind == SUBJECT_MEMORY)
        return; /* all its gauges are numbers */
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        subject_flush(&subject);
        arrange_gauges(0, 5);
        expect_run(admit_link('a', 0, 17));
        freeReplyObject(subject_command(&subject, wrongs[i], gauge_of("load")));
        struct jg_op op = admit_link('b', 0, 17);
        expect_hold(op, JG_REASON_CAPACITY);
        assert_int_equal(op.gauge, JG_GAUGE_WRONG);
        assert_true(op.load_now < 0);
        op = complete_link('a', 0, 17);
        expect_next(op, link_of('a', 1), true);
        assert_int_equal(op.gauge, JG_GAUGE_WRONG);
        set_load(0);
        (void)take("", 0);
        expect_run(admit_link('a', 1, 18));
        freeReplyObject(subject_command(&subject, wrongs[i], gauge_of("work")));
        op = complete_link('a', 1, 18);
        expect_next(op, link_of('a', 2), false);
        assert_int_equal(op.gauge, JG_GAUGE_WORK_WRONG);
    }
}

void
a_gauge_is_a_number_or_the_size_of_a_collection(void **state)
{
    static const struct {
        const char *command;
        int64_t load;
    } gauges[] = {{"SET %s 17", 17},
                  {"SET %s 17.9", 17},
                  {"RPUSH %s a b c", 3},
                  {"SADD %s a b", 2},
                  {"ZADD %s 1 a 2 b 3 c 4 d", 4},
                  {"HSET %s a 1", 1},
                  {"XADD %s * a 1", 1}};
    (void)state;
    if (subject.kind == SUBJECT_MEMORY)
        return; /* it has no collections */
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++) {
        subject_flush(&subject);
        set_load(-1);
        freeReplyObject(subject_command(&subject, gauges[i].command, gauge_of("load")));
        struct jg_op op = linked(JG_OP_ADMIT, 'a', 0, 17);
        op.capacity = 100;
        op = done(op);
        expect_run(op);
        assert_int_equal(op.load_now, gauges[i].load);
        assert_int_equal(op.gauge, JG_GAUGE_FINE);
    }
}

void
a_done_job_that_comes_again_gets_the_same_successor(void **state)
{
    (void)state;
    arrange_gauges(1, 5);
    expect_run(admit_link('a', 0, 17));
    set_load(CAPACITY);
    expect_next(complete_link('a', 0, 17), link_of('a', 1), true);
    /* Whatever the load is by now. */
    set_load(0);
    expect_next(complete_link('a', 0, 17), link_of('a', 1), true);
    for (int time = 0; time < 2; time++) {
        struct jg_op op = admit_link('a', 0, 17);
        expect_skipped(op, JG_REASON_DONE);
        assert_string_equal(op.next, link_of('a', 1));
        assert_true(op.next_waits);
        /* A copy has none: else copies would go on for ever. */
        op = admit_link('a', 0, 18);
        expect_skipped(op, JG_REASON_DONE);
        assert_string_equal(op.next, "");
        assert_false(op.next_waits);
    }
}

void
a_successor_of_a_class_without_capacity_is_no_copy_of_another(void **state)
{
    (void)state;
    struct jg_op op = linked(JG_OP_ADMIT, 'a', 1, 18);
    op.capacity = 0;
    expect_run(done(op));
    op = linked(JG_OP_ADMIT, 'a', 1, 19);
    op.capacity = 0;
    expect_skipped(done(op), JG_REASON_COPY);
    op = linked(JG_OP_ADMIT, 'b', 1, 19);
    op.capacity = 0;
    expect_run(done(op));
    /* Whoever begins a chain is asked only where there can be one. */
    op = linked(JG_OP_ADMIT, 'c', 0, 20);
    op.capacity = 0;
    expect_run(done(op));
    op = linked(JG_OP_ADMIT, 'c', 0, 21);
    op.capacity = 0;
    expect_run(done(op));
}

void
a_started_job_that_was_held_since_may_start_elsewhere(void **state)
{
    (void)state;
    arrange_gauges(0, 5);
    expect_run(admit_link('a', 0, 17));
    subject_advance(&subject, RUN_TTL_MS + 1000);
    set_load(CAPACITY);
    expect_hold(admit_link('a', 0, 17), JG_REASON_CAPACITY);
    set_load(0);
    (void)take("", 0);
    expect_run(admit_link('a', 0, 23));
    /* Then the first run is none any more, whatever it says. */
    struct jg_op op = complete_link('a', 0, 17);
    assert_false(op.changed);
    assert_string_equal(op.next, "");
    expect_next(complete_link('a', 0, 23), link_of('a', 1), false);
}

void
a_run_that_ends_while_its_copy_is_held_continues_its_chain(void **state)
{
    (void)state;
    arrange_gauges(0, 5);
    expect_run(admit_link('a', 0, 17));
    set_load(CAPACITY);
    struct jg_op op = linked(JG_OP_ADMIT, 'a', 0, 17);
    op.member = member_at(op.jid, 2, 17);
    expect_hold(done(op), JG_REASON_CAPACITY);
    set_load(0);
    expect_next(complete_link('a', 0, 17), link_of('a', 1), false);
    op = admit_link('a', 0, 23);
    expect_skipped(op, JG_REASON_DONE);
    assert_string_equal(op.next, link_of('a', 1));
}

void
a_run_that_expired_continues_its_chain_unless_another_did(void **state)
{
    (void)state;
    arrange_gauges(0, 5);
    expect_run(admit_link('a', 0, 17));
    subject_advance(&subject, RUN_TTL_MS + 1000);
    expect_next(complete_link('a', 0, 17), link_of('a', 1), false);
    expect_run(admit_link('a', 1, 18));
    subject_advance(&subject, RUN_TTL_MS + 1000);
    /* The chain went on without it. */
    expect_run(admit_link('a', 2, 19));
    struct jg_op op = complete_link('a', 1, 18);
    assert_false(op.changed);
    assert_string_equal(op.next, "");
    /* As was remembered of nobody, so of a run that nobody knows. */
    op = complete_link('b', 0, 20);
    assert_false(op.changed);
    assert_string_equal(op.next, "");
}

void
a_failed_job_waits_and_keeps_its_claim(void **state)
{
    (void)state;
    arrange(JG_CLAIM_RUNNING, EXECUTED);
    struct jg_op op = operation(JG_OP_COMPLETE, 'a');
    op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    op.failed = true;
    op = done(op);
    expect_next(op, link_of('a', 1), true);
    struct jg_job_report job_found;
    assert_int_equal(jg_store_job_report(subject.store, subject.class_name, job('a'), &job_found), JG_OK);
    assert_int_equal(job_found.chain_number, 0);
    assert_string_equal(job_found.chain_member, op.member);
    assert_int_equal(class_report().running, 0);
    struct jg_claim_report found = report();
    assert_int_equal(found.state, JG_CLAIM_HELD);
    assert_string_equal(found.owner, link_of('a', 1));
    assert_in_range(found.ttl_ms, TTL_MS - 1000, TTL_MS);
    assert_string_equal(found.member, "");
    struct jg_op duplicate = claim('b', EXECUTED);
    assert_int_equal(duplicate.claimed, JG_DUPLICATE);
    assert_string_equal(duplicate.original, link_of('a', 1));
    /* It is known as done for a while, although no done.ttl.ms was given, and it failed in a class of any kind. */
    op = operation(JG_OP_ADMIT, 'a');
    op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    op.done_ttl_ms = 1;
    op = done(op);
    expect_skipped(op, JG_REASON_DONE);
    assert_string_equal(op.next, link_of('a', 1));
}

void
a_failed_job_is_never_lost(void **state)
{
    (void)state;
    /* Nobody knows the run. */
    struct jg_op op = operation(JG_OP_COMPLETE, 'a');
    op.failed = true;
    expect_next(done(op), link_of('a', 1), true);
    /* And in a store that forgot it all, the same once more. */
    subject_lose(&subject);
    expect_next(done(op), link_of('a', 1), true);
    expect_next(done(op), link_of('a', 1), true);
}

void
until_executed_passes_its_claim_to_the_successor(void **state)
{
    (void)state;
    arrange_gauges(0, 5);
    (void)claim('a', EXECUTED);
    expect_claimed(claim('b', EXECUTED), JG_CANDIDATE, 'a', JG_CLAIM_PROVISIONAL);
    struct jg_op op = linked(JG_OP_ADMIT, 'a', 0, 17);
    op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    expect_run(done(op));
    op = linked(JG_OP_COMPLETE, 'a', 0, 17);
    op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    expect_next(done(op), link_of('a', 1), false);
    struct jg_claim_report found = report();
    assert_int_equal(found.state, JG_CLAIM_QUEUED);
    assert_string_equal(found.owner, link_of('a', 1));
    assert_string_equal(found.newest_candidate, "");
    assert_true(was('a'));
    /* The candidate was produced before its original's end. */
    op = linked(JG_OP_ADMIT, 'b', 0, 30);
    op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    op.candidate_of = job('a');
    expect_skip(done(op), 'a');
    op = linked(JG_OP_ADMIT, 'a', 1, 18);
    op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    expect_run(done(op));
    assert_int_equal(report().state, JG_CLAIM_RUNNING);
    set_work(0);
    op = linked(JG_OP_COMPLETE, 'a', 1, 18);
    op.dedup = JG_DEDUP_UNTIL_EXECUTED;
    expect_next(done(op), "", false);
    expect_no_claim();
}

void
until_executing_gives_the_successor_a_claim_unless_another_has_it(void **state)
{
    (void)state;
    arrange_gauges(0, 5);
    (void)claim('a', EXECUTING);
    expect_run(admit_link('a', 0, 17));
    expect_no_claim();
    expect_next(complete_link('a', 0, 17), link_of('a', 1), false);
    assert_int_equal(report().state, JG_CLAIM_QUEUED);
    assert_int_equal(report().dedup, JG_DEDUP_UNTIL_EXECUTING);
    assert_string_equal(report().owner, link_of('a', 1));
    expect_run(admit_link('a', 1, 18));
    expect_claimed(claim('b', EXECUTING), JG_ORIGINAL, 0, JG_CLAIM_NONE);
    expect_next(complete_link('a', 1, 18), link_of('a', 2), false);
    expect_claim(JG_CLAIM_PROVISIONAL, 'b');
}

void
without_dedup_a_successor_has_no_claim(void **state)
{
    (void)state;
    arrange_gauges(0, 5);
    struct jg_op op = linked(JG_OP_ADMIT, 'a', 0, 17);
    op.dedup = JG_DEDUP_NONE;
    expect_run(done(op));
    op = linked(JG_OP_COMPLETE, 'a', 0, 17);
    op.dedup = JG_DEDUP_NONE;
    expect_next(done(op), link_of('a', 1), false);
    expect_no_claim();
}

void
a_chain_ends_with_its_last_number(void **state)
{
    (void)state;
    arrange_gauges(0, 5);
    char last[JG_JID_CHARS + 1];
    snprintf(last, sizeof last, "%s-9999999999", job('a'));
    struct jg_op op = operation(JG_OP_ADMIT, 'a');
    op.jid = last;
    op.member = member_of(last, 1);
    op.capacity = CAPACITY;
    expect_run(done(op));
    op.kind = JG_OP_COMPLETE;
    expect_next(done(op), "", false);
}

void
a_chain_comes_back_after_its_loss(void **state)
{
    (void)state;
    arrange_gauges(0, 5);
    expect_run(admit_link('a', 0, 17));
    expect_next(complete_link('a', 0, 17), link_of('a', 1), false);
    int64_t epoch = admit_link('a', 1, 18).epoch;
    subject_lose(&subject);
    struct jg_op op = linked(JG_OP_RENEW, 'a', 1, 18);
    op.epoch_in = epoch;
    op.done_ttl_ms = 0;
    op = done(op);
    assert_true(op.changed);
    expect_skipped(admit_link('a', 0, 17), JG_REASON_COPY);
    expect_skipped(admit_link('a', 1, 19), JG_REASON_COPY);
    expect_next(complete_link('a', 1, 18), link_of('a', 2), false);
    /* Done, it does not come back. */
    subject_new_epoch(&subject);
    op = linked(JG_OP_RENEW, 'a', 1, 18);
    op.epoch_in = epoch;
    op.done_ttl_ms = 0;
    assert_false(done(op).changed);
    assert_int_equal(class_report().running, 0);
}

/* Its own earlier run aside, too: a successor never ends as a no-op for its predecessor. */
void
a_successor_waits_for_the_lease_of_its_predecessor(void **state)
{
    (void)state;
    arrange_gauges(0, 5);
    struct jg_op op = linked(JG_OP_ADMIT, 'a', 0, 17);
    op.lease = JG_LEASE_CLASS;
    op.lease_skips = true;
    expect_run(done(op));
    op = linked(JG_OP_ADMIT, 'a', 1, 18);
    op.lease = JG_LEASE_CLASS;
    op.lease_skips = true;
    expect_hold(done(op), JG_REASON_LEASE);
    op = linked(JG_OP_ADMIT, 'b', 0, 19);
    op.lease = JG_LEASE_CLASS;
    op.lease_skips = true;
    expect_skipped(done(op), JG_REASON_TAKEN);
    /* Nor for another one's job; also when it failed, in a class without a capacity. */
    op = linked(JG_OP_ADMIT, 'c', 1, 20);
    op.lease = JG_LEASE_CLASS;
    op.lease_skips = true;
    op.capacity = 0;
    expect_hold(done(op), JG_REASON_BEHIND);
    (void)take("", 0);
    expect_hold(done(op), JG_REASON_LEASE);
}

void
burying_a_job_ends_its_chain_unless_a_later_one_started(void **state)
{
    (void)state;
    arrange_gauges(0, 5);
    expect_run(admit_link('a', 1, 17));
    expect_run(admit_link('a', 2, 18));
    (void)done(linked(JG_OP_BURY, 'a', 1, 0));
    subject_advance(&subject, JG_DONE_TTL_MS + 1000);
    expect_skipped(admit_link('a', 1, 19), JG_REASON_COPY);
    (void)done(linked(JG_OP_BURY, 'a', 2, 0));
    subject_advance(&subject, JG_DONE_TTL_MS - 1000);
    expect_skipped(admit_link('a', 1, 19), JG_REASON_COPY);
    subject_advance(&subject, 2000);
    expect_run(admit_link('a', 1, 19));
}

void
a_chain_is_forgotten_after_its_end_or_a_month(void **state)
{
    (void)state;
    arrange_gauges(0, 0);
    expect_run(admit_link('a', 1, 17));
    expect_next(complete_link('a', 1, 17), "", false);
    expect_run(admit_link('b', 1, 17));
    expect_skipped(admit_link('b', 0, 18), JG_REASON_COPY);
    subject_advance(&subject, DONE_TTL_MS + 1000);
    expect_run(admit_link('a', 0, 18));
    expect_skipped(admit_link('b', 0, 18), JG_REASON_COPY);
    subject_advance(&subject, JG_CHAIN_TTL_MS);
    expect_run(admit_link('b', 0, 18));
}
