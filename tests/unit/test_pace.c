/* SPDX-License-Identifier: Apache-2.0 */
/* resume.ahead=auto in a model (pace_model.h): slots stay busy while jobs are held, whatever a job takes and whatever
 * stands before it in its topic, and few jobs come back in vain. Each seed gives the same run again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "connectors/kafka/pace.h"
#include "pace_model.h"

#define AUTO (-1)

/* What comes of a world once the resumer knows it. `*after`: after so much time. */
static struct model_found
find(const struct model_world *world, double learn_ms, double ms)
{
    struct model *model = model_new(7, world);
    (void)model_run(model, learn_ms);
    struct model_found found = model_run(model, ms);
    model_destroy(model);
    print_message(
        "limit %d, %d%s consumers, %g ms, backlog %d: %.2f busy, ahead %.1f (at most %.0f), missed %lld of %lld\n",
        world->limit, world->consumers, world->pooled ? " pooled" : "", world->job_ms, world->backlog, found.overlap,
        found.ahead, found.ahead_most, (long long)found.missed, (long long)found.starts);
    return found;
}

#define assert_at_least(value, least)                                                                                  \
    do {                                                                                                               \
        if ((double)(value) < (double)(least))                                                                         \
            fail_msg("%s is %.3f, not %.3f at least", #value, (double)(value), (double)(least));                       \
    } while (0)
#define assert_at_most(value, most)                                                                                    \
    do {                                                                                                               \
        if ((double)(value) > (double)(most))                                                                          \
            fail_msg("%s is %.3f, not %.3f at most", #value, (double)(value), (double)(most));                         \
    } while (0)

/* One row: a world, and what is asked of it. */
struct wanted {
    struct model_world world;
    double overlap_least, missed_most; /* missed: a start */
};

static void
expect(const struct wanted *rows, size_t count, double learn_ms)
{
    for (size_t i = 0; i < count; i++) {
        struct model_world world = rows[i].world;
        struct model_found found = find(&world, learn_ms, 10000);
        assert_at_least(found.overlap, rows[i].overlap_least);
        assert_at_most((double)found.missed / (double)(found.starts + 1), rows[i].missed_most);
        assert_at_most(found.ahead_most, JG_PACE_MOST);
        world.fixed_ahead = 0;
        assert_at_least(found.overlap + 0.02, find(&world, learn_ms, 10000).overlap);
    }
}

static void
slots_of_short_jobs_stay_busy(void **state)
{
    static const struct wanted rows[] = {
        {{.limit = 1, .consumers = 4, .job_ms = 1, .fixed_ahead = AUTO}, 0.6, 0.15},
        {{.limit = 1, .consumers = 4, .job_ms = 5, .fixed_ahead = AUTO}, 0.8, 0.2},
        {{.limit = 10, .consumers = 20, .job_ms = 1, .fixed_ahead = AUTO}, 7.0, 0.15},
        {{.limit = 10, .consumers = 20, .job_ms = 5, .fixed_ahead = AUTO}, 9.3, 0.15},
        {{.limit = 10, .consumers = 20, .job_ms = 50, .fixed_ahead = AUTO}, 9.6, 0.3},
        {{.limit = 10, .consumers = 4, .pooled = true, .job_ms = 50, .fixed_ahead = AUTO}, 9.6, 0.3},
        {{.limit = 100, .consumers = 200, .job_ms = 5, .fixed_ahead = AUTO}, 96, 0.15},
        {{.limit = 100, .consumers = 10, .pooled = true, .job_ms = 50, .fixed_ahead = AUTO}, 97, 0.15},
    };
    (void)state;
    expect(rows, sizeof rows / sizeof rows[0], 5000);
}

static void
jobs_of_seconds_need_none_ahead(void **state)
{
    static const double jobs_ms[] = {500, 5000};
    static const int limits[] = {1, 10, 100};
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        int limit = limits[i / 2];
        struct model_world world = {
            .limit = limit, .consumers = 10, .pooled = true, .job_ms = jobs_ms[i % 2], .fixed_ahead = AUTO};
        struct model_found found = find(&world, 10000, 40000);
        assert_at_least(found.overlap, 0.975 * limit);
        assert_at_most(found.ahead, 0.05 * limit);
        assert_at_most(found.missed, 0.1 * (double)found.starts);
    }
}

static void
slots_stay_busy_behind_a_long_backlog(void **state)
{
    static const struct wanted rows[] = {
        {{.limit = 10, .consumers = 40, .job_ms = 5, .other_ms = 1, .backlog = 50000, .fixed_ahead = AUTO}, 8.7, 0.2},
        {{.limit = 10, .consumers = 40, .job_ms = 50, .other_ms = 0.1, .backlog = 50000, .fixed_ahead = AUTO},
         8.5,
         0.5},
        {{.limit = 10, .consumers = 40, .job_ms = 500, .other_ms = 0.1, .backlog = 50000, .fixed_ahead = AUTO},
         7.2,
         1.2},
    };
    (void)state;
    expect(rows, sizeof rows / sizeof rows[0], 30000);
}

static void
long_and_short_jobs_side_by_side_keep_slots_busy(void **state)
{
    static const struct wanted rows[] = {
        {{.limit = 10,
          .consumers = 4,
          .pooled = true,
          .job_ms = 5,
          .long_job_ms = 500,
          .long_share = 0.1,
          .fixed_ahead = AUTO},
         8.5,
         0.7},
        {{.limit = 10, .consumers = 40, .job_ms = 5, .long_job_ms = 500, .long_share = 0.1, .fixed_ahead = AUTO},
         8.5,
         0.7},
    };
    (void)state;
    expect(rows, sizeof rows / sizeof rows[0], 20000);
}

static void
jobs_that_suddenly_take_longer_or_less_are_followed(void **state)
{
    struct model_world world = {.limit = 10, .consumers = 4, .pooled = true, .job_ms = 5, .fixed_ahead = AUTO};
    struct model *model = model_new(7, &world);
    (void)state;
    (void)model_run(model, 5000);
    world.job_ms = 5000;
    model_set(model, &world);
    struct model_found found = model_run(model, 10000);
    assert_at_most(found.missed, 300);
    assert_at_least(found.overlap, 9.8);
    found = model_run(model, 20000);
    assert_at_most(found.ahead, 0.5);
    assert_at_most(found.missed, 5);
    world.job_ms = 5;
    model_set(model, &world);
    (void)model_run(model, 6000); /* the last of the long ones */
    assert_at_least(model_run(model, 2000).overlap, 8.5);
    model_destroy(model);
}

static void
a_backlog_that_comes_and_goes_is_followed(void **state)
{
    struct model_world world = {.limit = 10, .consumers = 40, .job_ms = 5, .other_ms = 0.2, .fixed_ahead = AUTO};
    struct model *model = model_new(7, &world);
    (void)state;
    (void)model_run(model, 5000);
    world.backlog = 50000;
    model_set(model, &world);
    (void)model_run(model, 10000);
    struct model_found found = model_run(model, 5000);
    assert_at_least(found.overlap, 8.5);
    assert_at_least(found.ahead, 300);
    world.backlog = 0;
    model_set(model, &world);
    found = model_run(model, 5000);
    assert_at_least(found.overlap, 9);
    assert_at_most(found.missed, 0.3 * (double)found.starts);
    model_destroy(model);
}

/* More tickets would bring nothing, and stand before other classes' jobs. */
static void
fewer_consumers_than_slots_get_no_flood(void **state)
{
    static const int consumers[] = {1, 3, 5, 8};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct model_world world = {.limit = 10, .consumers = consumers[i], .job_ms = 50, .fixed_ahead = AUTO};
        struct model_found found = find(&world, 20000, 60000);
        assert_at_least(found.overlap, 0.85 * consumers[i]);
        assert_at_most(found.ahead_most, 500);
    }
}

static void
whatever_is_seen_it_stays_within_its_bounds(void **state)
{
    static const int64_t values[] = {0, 1, -1, 7, 1000, -1000, INT64_C(1) << 40, -(INT64_C(1) << 40)};
    struct jg_pace pace = {.seen = false};
    uint64_t random = 1;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        int64_t some[9];
        for (size_t j = 0; j < 9; j++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            some[j] = values[random >> 61];
        }
        /* Mostly a world that makes sense, with one number that does not. */
        struct jg_pace_look look = {i * 60, 10, 5, 20, 1, 100, i * 3, i / 9, i * 40, i};
        int64_t *numbers[] = {&look.now_ms,    &look.limit,  &look.running,   &look.tickets, &look.held,
                              &look.completed, &look.missed, &look.waited_ms, &look.idle};
        *numbers[(random >> 20) % 9] = some[0];
        jg_pace_see(&pace, &look);
        assert_in_range(jg_pace_ahead(&pace), 0, JG_PACE_MOST);
        assert_in_range(jg_pace_due_ms(&pace, 1000), 0, 1000);
    }
}

static void
what_was_learned_stays_while_nothing_is_held(void **state)
{
    struct model_world world = {.limit = 10, .consumers = 20, .job_ms = 5, .fixed_ahead = AUTO};
    struct model *model = model_new(7, &world);
    (void)state;
    (void)model_run(model, 5000);
    struct jg_pace pace = *model_pace(model);
    struct jg_pace_look look = pace.last;
    look.now_ms += 100;
    look.held = look.tickets = look.running = 0;
    jg_pace_see(&pace, &look); /* of the time until then something may be learned */
    double ahead = pace.ahead;
    assert_at_least(ahead, 5);
    for (int i = 0; i < 1000; i++) {
        look.now_ms += 100;
        look.held = look.tickets = look.running = 0;
        jg_pace_see(&pace, &look);
        assert_int_equal(jg_pace_due_ms(&pace, 1000), 1000);
    }
    assert_true(pace.ahead == ahead);
    assert_at_least(jg_pace_ahead(&pace), 1); /* some at once, others follow */
    model_destroy(model);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_of_short_jobs_stay_busy),
        cmocka_unit_test(jobs_of_seconds_need_none_ahead),
        cmocka_unit_test(slots_stay_busy_behind_a_long_backlog),
        cmocka_unit_test(long_and_short_jobs_side_by_side_keep_slots_busy),
        cmocka_unit_test(jobs_that_suddenly_take_longer_or_less_are_followed),
        cmocka_unit_test(a_backlog_that_comes_and_goes_is_followed),
        cmocka_unit_test(fewer_consumers_than_slots_get_no_flood),
        cmocka_unit_test(whatever_is_seen_it_stays_within_its_bounds),
        cmocka_unit_test(what_was_learned_stays_while_nothing_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
