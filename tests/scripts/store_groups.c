/* SPDX-License-Identifier: Apache-2.0 */
/* Who resumes, which group executes, who is woken, who told what. */
#include "store_tests.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct jg_op
ask(enum jg_op_kind kind, const char *who)
{
    struct jg_op op = {.kind = kind, .class_name = subject.class_name, .member = who, .run_ttl_ms = RUN_TTL_MS};
    return op;
}

static void
expect_held_by(struct jg_op op, bool mine, const char *who)
{
    op = done(op);
    assert_int_equal(op.changed, mine);
    assert_string_equal(op.other, who);
    if (op.kind == JG_OP_LEAD && who[0])
        assert_in_range(op.left_ms, 1, RUN_TTL_MS);
}

void
one_instance_leads_until_it_leaves_or_is_late(void **state)
{
    (void)state;
    struct jg_op one = ask(JG_OP_LEAD, "one"), other = ask(JG_OP_LEAD, "other");
    expect_held_by(one, true, "one");
    expect_held_by(other, false, "one");
    subject_advance(&subject, RUN_TTL_MS - 1000);
    expect_held_by(one, true, "one");
    subject_advance(&subject, RUN_TTL_MS - 1000);
    expect_held_by(other, false, "one");
    subject_advance(&subject, 1000);
    expect_held_by(other, true, "other");
    one.leave = other.leave = true;
    expect_held_by(one, false, "other");
    expect_held_by(other, false, "");
    one.leave = false;
    expect_held_by(one, true, "one");
}

void
an_announcement_changes_what_the_leader_is_told(void **state)
{
    (void)state;
    int64_t before = done(ask(JG_OP_LEAD, "one")).generation;
    int64_t announced = done(ask(JG_OP_ANNOUNCE, NULL)).generation;
    assert_true(announced > before);
    assert_true(done(ask(JG_OP_LEAD, "one")).generation == announced);
    assert_true(done(ask(JG_OP_LEAD, "other")).generation == announced);
}

void
one_group_has_a_topic_until_it_leaves_or_another_takes_it(void **state)
{
    (void)state;
    struct jg_op one = ask(JG_OP_GROUP, "one"), other = ask(JG_OP_GROUP, "other"), nobody = ask(JG_OP_GROUP, "");
    expect_held_by(nobody, false, "");
    expect_held_by(one, true, "one");
    expect_held_by(other, false, "one");
    expect_held_by(nobody, false, "one");
    other.leave = true;
    expect_held_by(other, false, "one");
    other.leave = false;
    other.force = true;
    expect_held_by(other, true, "other");
    expect_held_by(one, false, "other");
    subject_advance(&subject, RUN_TTL_MS);
    expect_held_by(nobody, false, "");
    expect_held_by(one, true, "one");
    nobody.leave = nobody.force = true;
    expect_held_by(nobody, false, "");
    expect_held_by(ask(JG_OP_GROUP, "third"), true, "third");
}

static void
fail_if_named(void *opaque, const char *class_name)
{
    (void)opaque;
    assert_string_not_equal(class_name, subject.class_name);
}

void
groups_and_topics_are_no_classes(void **state)
{
    (void)state;
    (void)done(ask(JG_OP_LEAD, "one"));
    (void)done(ask(JG_OP_GROUP, "one"));
    (void)done(ask(JG_OP_ANNOUNCE, NULL));
    assert_int_equal(jg_store_classes(subject.store, fail_if_named, NULL), JG_OK);
}

/* Whether it is woken, within a moment. */
static bool
is_woken(struct jg_watch *watch)
{
    struct pollfd waits = {.fd = jg_watch_fd(watch), .events = POLLIN};
    bool woken = false;
    if (poll(&waits, 1, 100) > 0)
        assert_int_equal(jg_watch_read(watch, &woken), JG_OK);
    return woken;
}

static struct jg_watch *
open_watch(void)
{
    struct jg_watch *watch = NULL;
    assert_int_equal(jg_store_watch(subject.store, &watch), JG_OK);
    assert_false(is_woken(watch));
    return watch;
}

void
a_watch_is_woken_by_a_free_slot_only_when_something_is_held(void **state)
{
    (void)state;
    expect_run(admit_limited('a', 1));
    struct jg_watch *watch = open_watch(), *second = open_watch();
    assert_true(complete_on('a', 1));
    assert_false(is_woken(watch));
    int64_t epoch = admit_limited('a', 1).epoch;
    expect_hold(admit_limited('b', 1), JG_REASON_LIMIT);
    assert_false(is_woken(watch));
    assert_true(complete_on('a', 1));
    assert_true(is_woken(watch));
    assert_false(is_woken(watch));
    assert_true(is_woken(second));
    /* Nothing was there to complete. */
    assert_false(complete_on('a', 1));
    assert_false(is_woken(watch));
    /* Another's run that expired, found by a renewal. */
    assert_int_equal(take("", 0).granted, 0);
    expect_run(admit_limited('a', 2));
    expect_run(admit_limited('c', 2));
    expect_hold(admit_limited('b', 2), JG_REASON_LIMIT);
    subject_advance(&subject, RUN_TTL_MS / 2);
    assert_true(renew_on('a', 1, epoch).changed);
    assert_false(is_woken(watch));
    subject_advance(&subject, RUN_TTL_MS / 2);
    assert_true(renew_on('a', 1, epoch).changed);
    assert_true(is_woken(watch));
    jg_watch_close(watch);
    jg_watch_close(second);
    jg_watch_close(NULL);
}

void
a_watch_is_woken_by_whatever_the_resumer_waits_for(void **state)
{
    (void)state;
    struct jg_watch *watch = open_watch();
    tell(1, 0);
    assert_false(is_woken(watch));
    (void)set_override(true, 1);
    assert_true(is_woken(watch));
    struct jg_op op = operation(JG_OP_SYNC, 'a');
    op.override_in = (struct jg_override){.at_ms = 1};
    (void)done(op);
    assert_false(is_woken(watch));
    (void)take("a", 3);
    assert_false(is_woken(watch));
    assert_true(drop('a'));
    assert_true(is_woken(watch));
    assert_false(drop('a'));
    assert_false(is_woken(watch));
    (void)done(ask(JG_OP_ANNOUNCE, NULL));
    assert_true(is_woken(watch));
    op = ask(JG_OP_LEAD, "one");
    (void)done(op);
    assert_false(is_woken(watch));
    op.leave = true;
    (void)done(op);
    assert_true(is_woken(watch));
    /* A skipped or buried job gives its ticket back. */
    arrange(JG_CLAIM_QUEUED, EXECUTING);
    (void)take("b", 3);
    op = resumed('b', 1);
    op.candidate_of = job('a');
    expect_skip(done(op), 'a');
    assert_true(is_woken(watch));
    (void)take("c", 3);
    (void)done(operation(JG_OP_BURY, 'c'));
    assert_true(is_woken(watch));
    jg_watch_close(watch);
}

void
instances_that_told_other_limits_disagree(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < JG_REPORT_INSTANCES + 3; i++) {
        struct jg_op op = operation(JG_OP_SYNC, 'a');
        snprintf(name, sizeof name, "instance%d", i);
        op.member = name;
        op.limit = 2;
        (void)done(op);
        assert_int_equal(class_report().instance_count, i + 1);
        assert_false(class_report().disagree);
    }
    assert_true(class_report().told);
    subject_advance(&subject, 61000);
    assert_int_equal(class_report().instance_count, 0);
    tell(2, 0);
    tell(2, 0);
    struct jg_op op = operation(JG_OP_SYNC, 'a');
    op.member = "another";
    op.limit = 3;
    (void)done(op);
    struct jg_class_report found = class_report();
    assert_int_equal(found.instance_count, 2);
    assert_true(found.disagree);
    assert_int_equal(found.limit, 3);
    assert_int_equal(found.instances[0].limit + found.instances[1].limit, 5);
    assert_true(strcmp(found.instances[0].name, "another") == 0 || strcmp(found.instances[1].name, "another") == 0);
}

void
an_operation_on_limits_that_lacks_something_is_refused(void **state)
{
    (void)state;
    static const char *const items[] = {"a", ""};
    const struct jg_op bad[] = {
        {.kind = JG_OP_TAKE, .items = NULL, .item_count = 1},
        {.kind = JG_OP_TAKE, .items = items, .item_count = 2},
        {.kind = JG_OP_TAKE, .items = items, .item_count = JG_OP_MAX_ITEMS + 1},
        {.kind = JG_OP_PLACE, .items = items, .item_count = 1},
        {.kind = JG_OP_DROP, .items = items, .item_count = 2},
        {.kind = JG_OP_BURY, .dedup_ttl_ms = 1, .dedup_provisional_ms = 1},
        {.kind = JG_OP_BURY, .key = key_of(0), .jid = job('a'), .dedup_ttl_ms = 1},
        {.kind = JG_OP_SYNC},
        {.kind = JG_OP_LEAD, .run_ttl_ms = 1},
        {.kind = JG_OP_LEAD, .member = "one"},
        {.kind = JG_OP_GROUP, .run_ttl_ms = 1},
        {.kind = JG_OP_GROUP, .member = "one"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct jg_op op = bad[i];
        op.class_name = subject.class_name;
        assert_int_equal(jg_store_exec(subject.store, &op, 1), JG_EINVAL);
    }
}
