/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines: to the host's own log callback where it set one, else to standard error. */
#ifndef JG_BASE_LOG_H
#define JG_BASE_LOG_H

#include <stdint.h>

#include "base/err.h"

/* Syslog's numbers, as librdkafka uses them. */
enum jg_log_level { JG_LOG_ERROR = 3, JG_LOG_WARNING = 4, JG_LOG_NOTICE = 5, JG_LOG_INFO = 6, JG_LOG_DEBUG = 7 };

struct jg_log {
    enum jg_log_level level; /* lines above it are not written */
    const char *name;        /* who speaks: the handle's name; borrowed, or NULL */
    /* Where lines go; NULL: standard error. Called on any thread, must not block. */
    void (*sink)(void *opaque, int level, const char *fac, const char *text);
    void *opaque;
};

/* `fac` is one word for the kind of line (CLAIM, STORE, CONFIG ...). Any thread. `log` may be NULL: standard error. */
void jg_log(const struct jg_log *log, enum jg_log_level level, const char *fac, const char *fmt, ...) JG_PRINTF(4, 5);

/* One line of a kind per `JG_LOG_EVERY_MS`; the next one says how many were left out. Zero-initialise. Any thread. */
struct jg_log_rate {
    _Atomic int64_t next_ms;
    _Atomic uint64_t left_out;
};
#define JG_LOG_EVERY_MS 10000
void jg_log_rated(const struct jg_log *log, struct jg_log_rate *rate, enum jg_log_level level, const char *fac,
                  const char *fmt, ...) JG_PRINTF(5, 6);

#endif
