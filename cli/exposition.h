/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' text format: families, samples, labels. */
#ifndef JG_CLI_EXPOSITION_H
#define JG_CLI_EXPOSITION_H

#include "base/buf.h"
#include "base/histogram.h"

#define JG_EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Begin a family; all its samples follow. */
void jg_exposition_family(struct jg_buf *out, const char *name, const char *type, const char *help);

/* Append a label to a list of labels. A value may hold any bytes: what is no UTF-8, and U+FFFD itself, becomes U+FFFD
 * and two hexadecimal digits a byte, so that different values never become equal. */
void jg_exposition_label(struct jg_buf *labels, const char *name, const char *value);

void jg_exposition_integer(struct jg_buf *out, const char *name, const struct jg_buf *labels, int64_t value);
void jg_exposition_seconds(struct jg_buf *out, const char *name, const struct jg_buf *labels, int64_t value_us);
void jg_exposition_histogram(struct jg_buf *out, const char *name, const struct jg_buf *labels,
                             const struct jg_histogram *histogram);

#endif
