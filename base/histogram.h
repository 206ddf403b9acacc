/* SPDX-License-Identifier: Apache-2.0 */
/* How long something took, counted in buckets, as metrics want it. Zero-initialise. Any thread, never blocks. */
#ifndef JG_BASE_HISTOGRAM_H
#define JG_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define JG_HISTOGRAM_BOUNDS 16

/* A bucket counts what took no longer than its bound, and longer than the one before. */
extern const int64_t jg_histogram_bounds_us[JG_HISTOGRAM_BOUNDS];

struct jg_histogram {
    _Atomic uint64_t counts[JG_HISTOGRAM_BOUNDS + 1]; /* the last: what took longer than all bounds */
    _Atomic uint64_t sum_us;
};

void jg_histogram_add(struct jg_histogram *histogram, int64_t took_us);

struct jg_histogram_counts {
    uint64_t up_to[JG_HISTOGRAM_BOUNDS]; /* how many took no longer than that bound */
    uint64_t all;
    uint64_t sum_us;
};
void jg_histogram_read(const struct jg_histogram *histogram, struct jg_histogram_counts *out);

#endif
