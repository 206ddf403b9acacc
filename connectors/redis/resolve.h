/* SPDX-License-Identifier: Apache-2.0 */
/* Host names to addresses within a bound, which getaddrinfo alone does not keep. */
#ifndef JG_CONNECTORS_REDIS_RESOLVE_H
#define JG_CONNECTORS_REDIS_RESOLVE_H

#include <netdb.h>
#include <stdint.h>

#include "base/err.h"

/* Resolve for TCP. The caller frees *out with freeaddrinfo. `deadline_ms` is of jg_clock_ms. JG_ESTORE: `error` says
 * why. A name that is no address is looked up on a thread of its own, which is left behind when it is late. */
JG_MUST_USE enum jg_err jg_resolve(const char *host, const char *port, int64_t deadline_ms, struct addrinfo **out,
                                   struct jg_error *error);

/* In the child of a fork: the threads of its parent are not there. */
void jg_resolve_after_fork(void);

#endif
