/* SPDX-License-Identifier: Apache-2.0 */
/* What a take tells for resume.ahead=auto. */
#include "store_tests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#define WAIT_MS 20 /* stores take their time from clocks that nobody can set */

static struct jg_op
take_ahead(char letter, int held, int64_t ahead)
{
    const char *const items[] = {job(letter)};
    struct jg_op op = operation(JG_OP_TAKE, letter);
    op.items = items;
    op.item_count = held ? 1 : 0;
    op.held_in = held;
    op.ahead_in = ahead;
    op = done(op);
    op.items = NULL;
    return op;
}

void
with_auto_the_resumer_says_how_many_go_ahead(void **state)
{
    (void)state;
    tell(1, JG_AUTO);
    expect_run(admit_limited('a', 1));
    assert_int_equal(take_ahead('b', 9, 0).granted, 0);
    assert_true(class_report().paced);
    assert_int_equal(class_report().ahead, 0);
    struct jg_op op = take_ahead('b', 9, 2);
    assert_int_equal(op.granted, 1);
    assert_int_equal(op.ahead_now, JG_AUTO);
    assert_int_equal(take_ahead('c', 9, 2).granted, 1);
    assert_int_equal(take_ahead('d', 9, 2).granted, 0);
    assert_int_equal(class_report().ahead, 2);
    tell(1, 3);
    op = take_ahead('d', 9, 0);
    assert_int_equal(op.granted, 1);
    assert_int_equal(op.ahead_now, 3);
    assert_false(class_report().paced);
    assert_int_equal(class_report().ahead, 3);
}

void
a_ticketed_job_that_is_held_again_for_want_of_a_slot_is_a_miss(void **state)
{
    (void)state;
    tell(1, JG_AUTO);
    expect_run(admit_limited('a', 1));
    expect_hold(admit_limited('b', 1), JG_REASON_LIMIT);
    assert_int_equal(take_ahead('b', 1, 1).granted, 1);
    struct jg_op op = resumed('b', 1);
    expect_later(done(op), JG_REASON_LIMIT);
    assert_int_equal(counter("missed"), 0);
    op.last_try = true;
    expect_hold(done(op), JG_REASON_LIMIT);
    assert_int_equal(counter("missed"), 1);
    assert_int_equal(take_ahead('b', 1, 0).missed_now, 1);
    expect_hold(done(op), JG_REASON_BEHIND); /* it has no ticket now */
    assert_int_equal(counter("missed"), 1);
    assert_true(complete_on('a', 1));
    assert_int_equal(take_ahead('b', 1, 0).completed_now, 1);
    expect_hold(admit_resumed('b', -1), JG_REASON_PAUSED);
    assert_int_equal(counter("missed"), 1);
}

void
how_long_tickets_were_on_their_way_and_slots_idle_is_told(void **state)
{
    (void)state;
    tell(1, JG_AUTO);
    expect_run(admit_limited('a', 1));
    expect_hold(admit_limited('b', 1), JG_REASON_LIMIT);
    struct jg_op before = take_ahead('b', 3, 0);
    assert_int_equal(before.granted, 0);
    jg_clock_pause_ms(WAIT_MS);
    assert_true(complete_on('a', 1));
    jg_clock_pause_ms(WAIT_MS);
    assert_int_equal(take_ahead('b', 3, 0).granted, 1);
    jg_clock_pause_ms(2 * WAIT_MS);
    expect_run(admit_resumed('b', 1));
    expect_run(admit_resumed('b', 1)); /* told again, it counts once */
    struct jg_op after = take_ahead('c', 3, 0);
    int64_t took_ms = after.now_ms - before.now_ms;
    assert_in_range(took_ms, 4 * WAIT_MS - 1, INT32_MAX);
    assert_in_range(after.waited_now_ms - before.waited_now_ms, 2 * WAIT_MS - 1, took_ms - 2 * WAIT_MS + 1);
    assert_in_range(after.idle_now - before.idle_now, 3 * WAIT_MS - 1, took_ms - WAIT_MS + 1);
    assert_int_equal(after.running, before.running);
}
