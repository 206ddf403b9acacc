/* SPDX-License-Identifier: Apache-2.0 */
/* Safe offsets: what is stored must never be past an unfinished message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "plugin/offsets.h"

#define TOPIC "jobs"

static int64_t
safe(struct jg_offsets *offsets)
{
    struct jg_partition *partition = jg_offsets_find(offsets, TOPIC, 0);
    assert_non_null(partition);
    return jg_offsets_take_safe(partition);
}

static void
begin(struct jg_offsets *offsets, int64_t offset)
{
    assert_int_equal(jg_offsets_begin(offsets, TOPIC, 0, offset), JG_OK);
}

static void
an_open_message_is_not_stored(void **state)
{
    struct jg_offsets offsets = {.count = 0};
    (void)state;
    begin(&offsets, 7);
    assert_int_equal(safe(&offsets), -1);
    jg_offsets_finish(&offsets, TOPIC, 0, 7);
    assert_int_equal(safe(&offsets), 8);
    assert_int_equal(safe(&offsets), -1);
    jg_offsets_clear(&offsets);
}

static void
the_lowest_open_message_holds_the_offset_back(void **state)
{
    struct jg_offsets offsets = {.count = 0};
    (void)state;
    for (int64_t i = 10; i < 15; i++)
        begin(&offsets, i);
    jg_offsets_finish(&offsets, TOPIC, 0, 12);
    jg_offsets_finish(&offsets, TOPIC, 0, 11);
    assert_int_equal(safe(&offsets), -1);
    jg_offsets_finish(&offsets, TOPIC, 0, 10);
    assert_int_equal(safe(&offsets), 13);
    jg_offsets_finish(&offsets, TOPIC, 0, 14);
    assert_int_equal(safe(&offsets), -1);
    jg_offsets_finish(&offsets, TOPIC, 0, 13);
    assert_int_equal(safe(&offsets), 15);
    jg_offsets_clear(&offsets);
}

static void
a_seek_back_makes_the_message_open_again(void **state)
{
    struct jg_offsets offsets = {.count = 0};
    (void)state;
    begin(&offsets, 5);
    jg_offsets_finish(&offsets, TOPIC, 0, 5);
    begin(&offsets, 6);
    assert_int_equal(safe(&offsets), 6);
    begin(&offsets, 5);
    assert_int_equal(safe(&offsets), -1);     /* 5 runs again: a crash now must bring it again */
    jg_offsets_finish(&offsets, TOPIC, 0, 6); /* a late end of what was sought over changes nothing */
    assert_int_equal(safe(&offsets), -1);
    jg_offsets_finish(&offsets, TOPIC, 0, 5);
    assert_int_equal(safe(&offsets), 6);
    jg_offsets_clear(&offsets);
}

static void
a_message_of_which_something_is_untold_is_not_stored_even_when_sought_back(void **state)
{
    struct jg_offsets offsets = {.count = 0};
    (void)state;
    assert_int_equal(jg_offsets_wait(&offsets, TOPIC, 0, 5), JG_EINVAL);
    begin(&offsets, 5);
    assert_int_equal(jg_offsets_wait(&offsets, TOPIC, 0, 5), JG_OK);
    assert_int_equal(jg_offsets_wait(&offsets, TOPIC, 0, 5), JG_OK);
    jg_offsets_finish(&offsets, TOPIC, 0, 5);
    begin(&offsets, 6);
    assert_int_equal(jg_offsets_wait(&offsets, TOPIC, 0, 6), JG_OK);
    jg_offsets_finish(&offsets, TOPIC, 0, 6);
    assert_int_equal(safe(&offsets), -1);
    begin(&offsets, 5); /* it comes again, and runs */
    assert_int_equal(jg_offsets_wait(&offsets, TOPIC, 0, 5), JG_OK);
    for (int i = 0; i < 3; i++)
        jg_offsets_told(&offsets, TOPIC, 0, 5);
    assert_int_equal(safe(&offsets), -1); /* of what ran before; it runs still */
    jg_offsets_finish(&offsets, TOPIC, 0, 5);
    assert_int_equal(safe(&offsets), 6);
    jg_offsets_told(&offsets, TOPIC, 0, 6);
    jg_offsets_told(&offsets, TOPIC, 0, 6);
    jg_offsets_told(&offsets, TOPIC, 1, 6);
    begin(&offsets, 6);
    jg_offsets_finish(&offsets, TOPIC, 0, 6);
    assert_int_equal(safe(&offsets), 7);
    jg_offsets_clear(&offsets);
}

static void
a_revoked_partition_is_forgotten(void **state)
{
    struct jg_offsets offsets = {.count = 0};
    (void)state;
    begin(&offsets, 5);
    assert_int_equal(jg_offsets_begin(&offsets, TOPIC, 1, 50), JG_OK);
    jg_offsets_forget(&offsets, TOPIC, 0);
    assert_null(jg_offsets_find(&offsets, TOPIC, 0));
    jg_offsets_finish(&offsets, TOPIC, 0, 5);
    assert_non_null(jg_offsets_find(&offsets, TOPIC, 1));
    jg_offsets_clear(&offsets);
}

static void
a_commit_finishes_what_is_below_it(void **state)
{
    struct jg_offsets offsets = {.count = 0};
    (void)state;
    for (int64_t offset = 5; offset < 9; offset++)
        begin(&offsets, offset);
    jg_offsets_finish(&offsets, TOPIC, 0, 7); /* skipped: the application never saw it */
    assert_int_equal(safe(&offsets), -1);
    jg_offsets_committed(&offsets, TOPIC, 0, 7);
    assert_int_equal(safe(&offsets), 8); /* behind its commit, and past the skipped one */
    assert_false(jg_offsets_find(&offsets, TOPIC, 0)->hands_off);
    jg_offsets_clear(&offsets);
}

/* The application's job at 6 is under way, and 6 is being committed for it, past the skipped 5. */
static struct jg_partition *
follow(struct jg_offsets *offsets)
{
    begin(offsets, 4);
    begin(offsets, 5);
    jg_offsets_finish(offsets, TOPIC, 0, 5);
    begin(offsets, 6);
    jg_offsets_committed(offsets, TOPIC, 0, 5);
    struct jg_partition *partition = jg_offsets_find(offsets, TOPIC, 0);
    assert_int_equal(jg_offsets_take_follow(partition), 6);
    assert_int_equal(jg_offsets_take_follow(partition), -1); /* it is on its way */
    return partition;
}

static void
a_commit_for_the_application_never_stays_below_its_own(void **state)
{
    struct jg_offsets offsets = {.count = 0};
    struct jg_partition *partition = follow(&offsets);
    (void)state;
    begin(&offsets, 7);
    jg_offsets_finish(&offsets, TOPIC, 0, 7);
    jg_offsets_committed(&offsets, TOPIC, 0, 7);
    jg_offsets_committed(&offsets, TOPIC, 0, 6); /* ours comes second */
    assert_false(partition->hands_off);
    assert_int_equal(jg_offsets_take_follow(partition), 8);
    jg_offsets_commit_failed(&offsets, TOPIC, 0, 8);
    assert_int_equal(jg_offsets_take_follow(partition), 8);
    jg_offsets_committed(&offsets, TOPIC, 0, 8);
    assert_int_equal(jg_offsets_take_follow(partition), -1);
    jg_offsets_clear(&offsets);
}

/* There is nothing above it to commit: what it had committed is. */
static void
a_commit_of_the_application_that_was_lowered_is_made_again(void **state)
{
    struct jg_offsets offsets = {.count = 0};
    struct jg_partition *partition = follow(&offsets);
    (void)state;
    jg_offsets_committed(&offsets, TOPIC, 0, 7);
    jg_offsets_committed(&offsets, TOPIC, 0, 6);
    assert_int_equal(jg_offsets_take_follow(partition), 7);
    jg_offsets_commit_failed(&offsets, TOPIC, 0, 7);
    assert_int_equal(jg_offsets_take_follow(partition), 7);
    jg_offsets_committed(&offsets, TOPIC, 0, 7);
    assert_int_equal(jg_offsets_take_follow(partition), -1);
    assert_int_equal(partition->committed, 7);
    jg_offsets_commit_failed(&offsets, TOPIC, 0, 7);
    assert_int_equal(jg_offsets_take_follow(partition), -1);
    jg_offsets_clear(&offsets);
}

static void
a_commit_that_goes_back_is_the_applications_own_affair(void **state)
{
    struct jg_offsets offsets = {.count = 0};
    (void)state;
    begin(&offsets, 5);
    begin(&offsets, 6);
    jg_offsets_committed(&offsets, TOPIC, 0, 7);
    jg_offsets_committed(&offsets, TOPIC, 0, 6);
    assert_true(jg_offsets_find(&offsets, TOPIC, 0)->hands_off);
    jg_offsets_committed(&offsets, "unknown", 0, 6);
    jg_offsets_clear(&offsets);
}

/* Random begins, finishes and seeks against a plain array of flags. */
static void
the_safe_offset_is_never_past_an_open_message(void **state)
{
    enum { MESSAGES = 200 };
    (void)state;
    srand(1);
    for (int round = 0; round < 200; round++) {
        struct jg_offsets offsets = {.count = 0};
        bool open[MESSAGES] = {false};
        int next = 0;
        for (int step = 0; step < 400 && next < MESSAGES; step++) {
            int action = rand() % 10;
            if (action < 5) {
                begin(&offsets, next);
                open[next++] = true;
            } else if (action < 9 && next) {
                int one = rand() % next;
                jg_offsets_finish(&offsets, TOPIC, 0, one);
                open[one] = false;
            } else if (next > 3) {
                next -= rand() % 3 + 1;
                for (int i = next; i < MESSAGES; i++)
                    open[i] = false;
                begin(&offsets, next);
                open[next++] = true;
            }
            if (!next)
                continue;
            int64_t taken = safe(&offsets);
            for (int64_t i = 0; i < taken; i++)
                assert_false(open[i]);
        }
        jg_offsets_clear(&offsets);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_message_is_not_stored),
        cmocka_unit_test(the_lowest_open_message_holds_the_offset_back),
        cmocka_unit_test(a_seek_back_makes_the_message_open_again),
        cmocka_unit_test(a_message_of_which_something_is_untold_is_not_stored_even_when_sought_back),
        cmocka_unit_test(a_revoked_partition_is_forgotten),
        cmocka_unit_test(a_commit_finishes_what_is_below_it),
        cmocka_unit_test(a_commit_for_the_application_never_stays_below_its_own),
        cmocka_unit_test(a_commit_of_the_application_that_was_lowered_is_made_again),
        cmocka_unit_test(a_commit_that_goes_back_is_the_applications_own_affair),
        cmocka_unit_test(the_safe_offset_is_never_past_an_open_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
