/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"

#define LINE_BYTES 5120

static void
write_line(const struct jg_log *log, enum jg_log_level level, const char *fac, const char *text)
{
    if (log && log->sink) {
        log->sink(log->opaque, (int)level, fac, text);
        return;
    }
    int64_t now_ms = jg_wall_ms();
    fprintf(stderr, "%%%d|%lld.%03d|JOBGATE-%s|%s| %s\n", level, (long long)(now_ms / 1000), (int)(now_ms % 1000), fac,
            log && log->name ? log->name : "jobgate", text);
}

static int
silent(const struct jg_log *log, enum jg_log_level level)
{
    return level > (log ? log->level : JG_LOG_INFO);
}

void
jg_log(const struct jg_log *log, enum jg_log_level level, const char *fac, const char *fmt, ...)
{
    char text[LINE_BYTES];
    va_list args;
    if (silent(log, level))
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    write_line(log, level, fac, text);
}

void
jg_log_rated(const struct jg_log *log, struct jg_log_rate *rate, enum jg_log_level level, const char *fac,
             const char *fmt, ...)
{
    char text[LINE_BYTES];
    va_list args;
    if (silent(log, level))
        return;
    int64_t now_ms = jg_clock_ms();
    int64_t next_ms = atomic_load(&rate->next_ms);
    if (now_ms < next_ms || !atomic_compare_exchange_strong(&rate->next_ms, &next_ms, now_ms + JG_LOG_EVERY_MS)) {
        atomic_fetch_add(&rate->left_out, 1);
        return;
    }
    uint64_t left_out = atomic_exchange(&rate->left_out, 0);
    va_start(args, fmt);
    int size = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (left_out && size >= 0 && (size_t)size < sizeof text)
        snprintf(text + size, sizeof text - (size_t)size, " (%llu more such lines left out)",
                 (unsigned long long)left_out);
    write_line(log, level, fac, text);
}
