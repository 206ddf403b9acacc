/* SPDX-License-Identifier: Apache-2.0 */
/* base/: the buffer keeps what it was given, and one failure sticks; the clocks run forward; log lines go to the sink,
 * and a rated kind of line is written once per period; a histogram counts each time once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "base/log.h"

static void
a_buffer_keeps_what_was_appended(void **state)
{
    (void)state;
    struct jg_buf buf = JG_BUF_INIT;
    for (int i = 0; i < 1000; i++)
        jg_buf_format(&buf, "%d,", i);
    jg_buf_append(&buf, "a\0b", 3);
    assert_false(buf.failed);
    assert_memory_equal(buf.data, "0,1,2,", 6);
    assert_int_equal(buf.size_bytes, 10 * 2 + 90 * 3 + 900 * 4 + 3);
    assert_memory_equal(buf.data + buf.size_bytes - 3, "a\0b", 4);
    jg_buf_clear(&buf);
    assert_null(buf.data);
}

static void
a_reset_buffer_keeps_its_memory_and_forgets_the_content(void **state)
{
    (void)state;
    struct jg_buf buf = JG_BUF_INIT;
    jg_buf_text(&buf, "first");
    const char *data = buf.data;
    jg_buf_reset(&buf);
    assert_int_equal(buf.size_bytes, 0);
    jg_buf_text(&buf, "second");
    assert_ptr_equal(buf.data, data);
    assert_string_equal(buf.data, "second");
    jg_buf_clear(&buf);
}

static void
nothing_is_appended_to_a_failed_buffer(void **state)
{
    (void)state;
    struct jg_buf buf = JG_BUF_INIT;
    jg_buf_text(&buf, "kept");
    buf.failed = true;
    jg_buf_text(&buf, " lost");
    jg_buf_format(&buf, "%s", "lost");
    assert_true(buf.failed);
    assert_string_equal(buf.data, "kept");
    jg_buf_clear(&buf);
}

static void
the_clocks_run_forward(void **state)
{
    (void)state;
    int64_t first_us = jg_clock_us();
    assert_true(first_us > 0);
    assert_true(jg_clock_us() >= first_us);
    assert_true(jg_clock_ms() >= first_us / 1000);
    assert_true(jg_wall_ms() > INT64_C(1600000000000));
}

struct lines {
    int count;
    char last[256];
};

static void
remember_line(void *opaque, int level, const char *fac, const char *text)
{
    (void)level;
    (void)fac;
    struct lines *lines = opaque;
    lines->count++;
    strncpy(lines->last, text, sizeof lines->last - 1);
}

static void
a_line_above_the_level_is_not_written(void **state)
{
    (void)state;
    struct lines lines = {0};
    struct jg_log log = {.level = JG_LOG_INFO, .sink = remember_line, .opaque = &lines};
    jg_log(&log, JG_LOG_DEBUG, "TEST", "hidden");
    assert_int_equal(lines.count, 0);
    jg_log(&log, JG_LOG_INFO, "TEST", "shown %d", 7);
    assert_int_equal(lines.count, 1);
    assert_string_equal(lines.last, "shown 7");
}

static void
a_rated_line_is_written_once_per_period(void **state)
{
    (void)state;
    struct lines lines = {0};
    struct jg_log log = {.level = JG_LOG_INFO, .sink = remember_line, .opaque = &lines};
    struct jg_log_rate rate = {0};
    for (int i = 0; i < 5; i++)
        jg_log_rated(&log, &rate, JG_LOG_WARNING, "TEST", "again");
    assert_int_equal(lines.count, 1);
    rate.next_ms = 0;
    jg_log_rated(&log, &rate, JG_LOG_WARNING, "TEST", "again");
    assert_int_equal(lines.count, 2);
    assert_string_equal(lines.last, "again (4 more such lines left out)");
}

static void
a_histogram_counts_each_time_in_every_bucket_that_is_large_enough(void **state)
{
    (void)state;
    static struct jg_histogram histogram;
    struct jg_histogram_counts counts;
    const int64_t longest_us = jg_histogram_bounds_us[JG_HISTOGRAM_BOUNDS - 1];
    const int64_t took_us[] = {
        -5, 0, jg_histogram_bounds_us[0], jg_histogram_bounds_us[0] + 1, longest_us, longest_us + 1};
    uint64_t sum_us = 0;
    for (size_t i = 1; i < JG_HISTOGRAM_BOUNDS; i++)
        assert_true(jg_histogram_bounds_us[i] > jg_histogram_bounds_us[i - 1]);
    for (size_t i = 0; i < sizeof took_us / sizeof took_us[0]; i++) {
        jg_histogram_add(&histogram, took_us[i]);
        sum_us += took_us[i] > 0 ? (uint64_t)took_us[i] : 0;
    }
    jg_histogram_read(&histogram, &counts);
    assert_int_equal(counts.up_to[0], 3);
    assert_int_equal(counts.up_to[1], 4);
    assert_int_equal(counts.up_to[JG_HISTOGRAM_BOUNDS - 2], 4);
    assert_int_equal(counts.up_to[JG_HISTOGRAM_BOUNDS - 1], 5);
    assert_int_equal(counts.all, 6);
    assert_int_equal(counts.sum_us, sum_us);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_keeps_what_was_appended),
        cmocka_unit_test(a_reset_buffer_keeps_its_memory_and_forgets_the_content),
        cmocka_unit_test(nothing_is_appended_to_a_failed_buffer),
        cmocka_unit_test(the_clocks_run_forward),
        cmocka_unit_test(a_line_above_the_level_is_not_written),
        cmocka_unit_test(a_rated_line_is_written_once_per_period),
        cmocka_unit_test(a_histogram_counts_each_time_in_every_bucket_that_is_large_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
