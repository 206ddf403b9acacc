/* SPDX-License-Identifier: Apache-2.0 */
/* Commands as Redis reads them. */
#ifndef JG_CONNECTORS_REDIS_RESP_H
#define JG_CONNECTORS_REDIS_RESP_H

#include <stdint.h>

#include "base/buf.h"

/* A command of `count` arguments, which follow. */
void jg_resp_begin(struct jg_buf *out, size_t count);
void jg_resp_bytes(struct jg_buf *out, const void *data, size_t size);
void jg_resp_text(struct jg_buf *out, const char *text);
void jg_resp_number(struct jg_buf *out, int64_t number);

/* A whole command; the arguments end with NULL. */
void jg_resp_command(struct jg_buf *out, ...) __attribute__((sentinel));

#endif
