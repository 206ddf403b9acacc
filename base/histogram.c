/* SPDX-License-Identifier: Apache-2.0 */
#include "base/histogram.h"

const int64_t jg_histogram_bounds_us[JG_HISTOGRAM_BOUNDS] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

void
jg_histogram_add(struct jg_histogram *histogram, int64_t took_us)
{
    size_t bucket = 0;
    uint64_t us = took_us > 0 ? (uint64_t)took_us : 0;
    while (bucket < JG_HISTOGRAM_BOUNDS && took_us > jg_histogram_bounds_us[bucket])
        bucket++;
    atomic_fetch_add_explicit(&histogram->counts[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_us, us, memory_order_relaxed);
}

void
jg_histogram_read(const struct jg_histogram *histogram, struct jg_histogram_counts *out)
{
    uint64_t total = 0;
    for (size_t i = 0; i < JG_HISTOGRAM_BOUNDS; i++) {
        total += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        out->up_to[i] = total;
    }
    out->all = total + atomic_load_explicit(&histogram->counts[JG_HISTOGRAM_BOUNDS], memory_order_relaxed);
    out->sum_us = atomic_load_explicit(&histogram->sum_us, memory_order_relaxed);
}
