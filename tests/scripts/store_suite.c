/* SPDX-License-Identifier: Apache-2.0 */
/* One suite for both stores: every promise is tried in memory and on the Redis at $JOBGATE_TEST_REDIS. Each test has a
 * class of its own, and fate at its disposal (store_support.h): time passes without waiting, data is lost or rewound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store_tests.h"

static int
set_up_memory(void **state)
{
    (void)state;
    subject_open(&subject, SUBJECT_MEMORY);
    return 0;
}

static int
set_up_redis(void **state)
{
    (void)state;
    subject_open(&subject, SUBJECT_REDIS);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    subject_close(&subject);
    return 0;
}

int
main(void)
{
#define ON_BOTH(name)                                                                                                  \
    {"memory: " #name, name, set_up_memory, tear_down, NULL}, {"redis: " #name, name, set_up_redis, tear_down, NULL},
    const struct CMUnitTest tests[] = {STORE_TESTS(ON_BOTH)};
#undef ON_BOTH
    return cmocka_run_group_tests(tests, NULL, NULL);
}
