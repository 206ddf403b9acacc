/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/counters.h"

#include <stdatomic.h>

static _Atomic int64_t values[JG_COUNTER_COUNT];

static const char *const names[JG_COUNTER_COUNT] = {
#define JG_COUNTER_NAME(id, name, help) [JG_COUNT_##id] = name,
    JG_COUNTERS(JG_COUNTER_NAME)
#undef JG_COUNTER_NAME
};

void
jg_count(enum jg_counter counter, int64_t by)
{
    atomic_fetch_add_explicit(&values[counter], by, memory_order_relaxed);
}

int64_t
jg_counter_value(enum jg_counter counter)
{
    return atomic_load_explicit(&values[counter], memory_order_relaxed);
}

const char *
jg_counter_name(enum jg_counter counter)
{
    return names[counter];
}
