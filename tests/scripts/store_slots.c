/* SPDX-License-Identifier: Apache-2.0 */
/* Capacity slots: a start takes one, its end does not free it; a release does, or its time. */
#include "store_links.h"
#include "store_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SLOT_TTL_MS 300000

/* Capacity is 2. */
static struct jg_op
slotted(enum jg_op_kind kind, char letter, unsigned number, unsigned position)
{
    struct jg_op op = linked(kind, letter, number, position);
    op.load_key = op.work_key = NULL;
    op.slot_ttl_ms = SLOT_TTL_MS;
    return op;
}

static struct jg_op
start(char letter)
{
    return done(slotted(JG_OP_ADMIT, letter, 0, 17));
}

static bool
free_slot(const char *jid)
{
    return done((struct jg_op){.kind = JG_OP_FREE, .class_name = subject.class_name, .jid = jid}).changed;
}

static void
tell_slots(int64_t capacity)
{
    struct jg_op op = slotted(JG_OP_SYNC, 'a', 0, 17);
    op.member = "instance1";
    op.capacity = capacity;
    (void)done(op);
}

/* Jids of those that are taken, the first to end first. */
struct taken {
    size_t count;
    struct jg_slot_report list[8];
};

static void
collect(void *opaque, const struct jg_slot_report *slot)
{
    struct taken *taken = opaque;
    assert_true(taken->count < 8);
    taken->list[taken->count++] = *slot;
}

static struct taken
taken_now(void)
{
    struct taken taken = {.count = 0};
    assert_int_equal(jg_store_slots(subject.store, subject.class_name, collect, &taken), JG_OK);
    return taken;
}

static bool
has_slot(const char *jid)
{
    struct taken taken = taken_now();
    for (size_t i = 0; i < taken.count; i++)
        if (strcmp(taken.list[i].jid, jid) == 0)
            return true;
    return false;
}

void
a_start_takes_a_slot_that_its_end_does_not_free(void **state)
{
    (void)state;
    struct jg_op op = start('a');
    expect_run(op);
    assert_int_equal(op.load_now, 0);
    op = done(slotted(JG_OP_COMPLETE, 'a', 0, 17));
    expect_next(op, link_of('a', 1), false);
    assert_int_equal(op.load_now, 1);
    assert_true(has_slot(job('a')));
    op = done(slotted(JG_OP_ADMIT, 'a', 1, 18));
    expect_run(op);
    assert_int_equal(op.load_now, 1);
    assert_int_equal(taken_now().count, 2);
}

void
with_all_slots_taken_a_job_is_held_and_a_successor_waits_until_one_is_free(void **state)
{
    (void)state;
    expect_run(start('a'));
    expect_run(start('b'));
    expect_hold(start('c'), JG_REASON_CAPACITY);
    assert_int_equal(taken_now().count, 2);
    struct jg_op op = done(slotted(JG_OP_COMPLETE, 'a', 0, 17));
    expect_next(op, link_of('a', 1), true);
    assert_int_equal(op.load_now, 2);
    assert_true(free_slot(job('b')));
    (void)take("", 0);
    expect_run(start('c'));
    expect_next(done(slotted(JG_OP_COMPLETE, 'b', 0, 17)), link_of('b', 1), true);
}

void
a_job_that_is_delivered_again_has_its_slot_already(void **state)
{
    (void)state;
    expect_run(start('a'));
    expect_run(start('b'));
    struct jg_op again = slotted(JG_OP_ADMIT, 'a', 0, 17);
    expect_run(done(again));
    again.member = member_at(job('a'), 2, 17);
    subject_advance(&subject, SLOT_TTL_MS / 2);
    expect_run(done(again));
    assert_int_equal(taken_now().count, 2);
    /* For as long again as another's. */
    subject_advance(&subject, SLOT_TTL_MS / 2);
    assert_true(has_slot(job('a')));
    assert_false(has_slot(job('b')));
}

void
a_slot_that_was_freed_does_not_come_back_while_its_job_runs(void **state)
{
    (void)state;
    int64_t epoch = start('a').epoch;
    assert_true(free_slot(job('a')));
    expect_run(start('a'));
    struct jg_op renew = slotted(JG_OP_RENEW, 'a', 0, 17);
    renew.epoch_in = epoch;
    assert_true(done(renew).changed);
    assert_int_equal(taken_now().count, 0);
    struct jg_op op = done(slotted(JG_OP_COMPLETE, 'a', 0, 17));
    expect_next(op, link_of('a', 1), false);
    assert_int_equal(op.load_now, 0);
    /* Delivered again after its consumer died, it has to find room like any other. */
    expect_run(start('b'));
    expect_run(start('c'));
    assert_true(free_slot(job('b')));
    expect_run(start('d'));
    struct jg_op again = slotted(JG_OP_ADMIT, 'b', 0, 17);
    again.member = member_at(job('b'), 2, 17);
    expect_hold(done(again), JG_REASON_CAPACITY);
}

void
a_slot_is_free_after_its_time_and_not_before_its_run_ends(void **state)
{
    (void)state;
    struct jg_op op = slotted(JG_OP_ADMIT, 'a', 0, 17);
    op.slot_ttl_ms = RUN_TTL_MS / 3;
    int64_t epoch = done(op).epoch;
    expect_run(start('b'));
    expect_hold(start('c'), JG_REASON_CAPACITY);
    (void)take("", 0);
    struct jg_op renew = slotted(JG_OP_RENEW, 'a', 0, 17);
    renew.slot_ttl_ms = RUN_TTL_MS / 3;
    renew.epoch_in = epoch;
    for (int i = 0; i < 3; i++) {
        subject_advance(&subject, RUN_TTL_MS * 2 / 3);
        assert_true(done(renew).changed);
        assert_true(has_slot(job('a')));
        expect_hold(start('c'), JG_REASON_CAPACITY);
        (void)take("", 0);
    }
    subject_advance(&subject, RUN_TTL_MS);
    assert_false(has_slot(job('a')));
    assert_false(free_slot(job('a')));
    expect_run(start('c'));
}

void
freeing_what_is_free_changes_nothing_and_is_counted(void **state)
{
    (void)state;
    expect_run(start('a'));
    assert_false(free_slot(job('b')));
    assert_true(free_slot(job('a')));
    assert_false(free_slot(job('a')));
    assert_int_equal(counter("slots_freed"), 1);
    assert_int_equal(counter("slots_unknown"), 2);
    struct jg_op op = {.kind = JG_OP_FREE, .class_name = subject.class_name, .jid = "no jid"};
    assert_int_equal(jg_store_exec(subject.store, &op, 1), JG_EINVAL);
    op.jid = NULL;
    assert_int_equal(jg_store_exec(subject.store, &op, 1), JG_EINVAL);
}

void
each_instance_counts_slots_against_its_own_number(void **state)
{
    (void)state;
    expect_run(start('a'));
    expect_run(start('b'));
    struct jg_op op = slotted(JG_OP_ADMIT, 'c', 0, 17);
    op.capacity = 3;
    expect_run(done(op));
    op = slotted(JG_OP_COMPLETE, 'c', 0, 17);
    op.capacity = 4;
    expect_next(done(op), link_of('c', 1), false);
    expect_next(done(slotted(JG_OP_COMPLETE, 'b', 0, 17)), link_of('b', 1), true);
    /* With 3 taken and a number of 2, its own left out. */
    (void)take("", 0);
    op = slotted(JG_OP_ADMIT, 'a', 0, 17);
    op.member = member_at(job('a'), 2, 17);
    expect_hold(done(op), JG_REASON_CAPACITY);
}

void
slots_lost_with_the_data_come_back_with_their_runs_and_never_more_than_there_may_be(void **state)
{
    (void)state;
    int64_t epoch = start('a').epoch;
    assert_true(free_slot(job('a')));
    expect_run(start('b'));
    expect_run(start('c'));
    subject_lose(&subject);
    /* Three run, one of which had its slot freed: that is not known any more. */
    struct jg_op renew;
    for (char letter = 'a'; letter <= 'c'; letter++) {
        renew = slotted(JG_OP_RENEW, letter, 0, 17);
        renew.epoch_in = epoch;
        renew = done(renew);
        assert_true(renew.changed);
        assert_int_equal(taken_now().count, letter == 'a' ? 1 : 2);
    }
    assert_true(renew.epoch > epoch);
    /* What was freed in the new epoch stays free. */
    assert_true(free_slot(job('b')));
    renew = slotted(JG_OP_RENEW, 'b', 0, 17);
    renew.epoch_in = done(slotted(JG_OP_RENEW, 'b', 0, 17)).epoch;
    assert_true(free_slot(job('b')) || !has_slot(job('b')));
    assert_true(done(renew).changed);
    assert_false(has_slot(job('b')));
    /* One that ended while the store was away brings its own. */
    subject_lose(&subject);
    struct jg_op op = slotted(JG_OP_COMPLETE, 'c', 0, 17);
    op.epoch_in = epoch;
    op = done(op);
    expect_next(op, link_of('c', 1), false);
    assert_int_equal(op.load_now, 1);
    assert_true(has_slot(job('c')));
}

void
a_take_gives_as_many_tickets_as_slots_are_free(void **state)
{
    (void)state;
    tell_slots(3);
    expect_run(start('a'));
    struct jg_op op = take("bcd", 3);
    assert_int_equal(op.granted, 2);
    assert_int_equal(op.load_now, 1);
    assert_int_equal(op.gauge, JG_GAUGE_FINE);
    tell_slots(1);
    op = take("d", 1);
    assert_int_equal(op.granted, 0);
    assert_int_equal(op.reason, JG_REASON_CAPACITY);
}

void
a_freed_slot_wakes_the_resumer_when_something_is_held(void **state)
{
    struct jg_watch *watch;
    bool woken;
    (void)state;
    assert_int_equal(jg_store_watch(subject.store, &watch), JG_OK);
    expect_run(start('a'));
    expect_run(start('b'));
    assert_true(free_slot(job('a')));
    subject_pause();
    assert_int_equal(jg_watch_read(watch, &woken), JG_OK);
    assert_false(woken);
    expect_run(start('c'));
    expect_hold(start('d'), JG_REASON_CAPACITY);
    assert_true(free_slot(job('b')));
    for (int i = 0; i < 5000 && !woken; i++) {
        subject_pause();
        assert_int_equal(jg_watch_read(watch, &woken), JG_OK);
    }
    assert_true(woken);
    jg_watch_close(watch);
}

void
a_report_shows_slots_and_when_they_end(void **state)
{
    (void)state;
    tell_slots(2);
    struct jg_class_report report = class_report();
    assert_true(report.slots && !report.load_key[0] && report.load == 0 && report.gauge == JG_GAUGE_FINE);
    expect_run(start('b'));
    subject_advance(&subject, SLOT_TTL_MS / 3);
    expect_run(start('a'));
    report = class_report();
    assert_int_equal(report.load, 2);
    struct taken taken = taken_now();
    assert_int_equal(taken.count, 2);
    assert_string_equal(taken.list[0].jid, job('b'));
    assert_string_equal(taken.list[1].jid, job('a'));
    for (int i = 0; i < 2; i++)
        assert_true(taken.list[i].expires_ms == report.slots_until_ms[i]);
    struct jg_job_report known;
    assert_int_equal(jg_store_job_report(subject.store, subject.class_name, job('a'), &known), JG_OK);
    assert_true(known.slot_expires_ms == taken.list[1].expires_ms);
    subject_advance(&subject, SLOT_TTL_MS * 2 / 3);
    assert_int_equal(class_report().load, 1);
    /* A gauge again. */
    struct jg_op op = linked(JG_OP_SYNC, 'a', 0, 17);
    op.member = "instance1";
    set_load(7);
    (void)done(op);
    report = class_report();
    assert_true(!report.slots && report.load == 7);
    assert_string_equal(report.load_key, gauge_of("load"));
}
