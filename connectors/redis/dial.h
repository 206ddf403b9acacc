/* SPDX-License-Identifier: Apache-2.0 */
/* A non-blocking, close-on-exec stream to a server, opened within a bound. */
#ifndef JG_CONNECTORS_REDIS_DIAL_H
#define JG_CONNECTORS_REDIS_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "connectors/redis/url.h"

/* The descriptor, or -1: `error` says why; *late: for want of time. `deadline_ms` is of jg_clock_ms. */
JG_MUST_USE int jg_dial(const struct jg_redis_url *url, int64_t deadline_ms, bool *late, struct jg_error *error);

/* Wait until `fd` has one of the poll `events`, at most until the deadline. False: the time is over. */
bool jg_dial_poll(int fd, short events, int64_t deadline_ms);

#endif
