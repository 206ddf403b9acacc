/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the topics beside a governed one: `<topic>.held.<class>`, where jobs of a class wait, and
 * `<topic>.dead`, for what cannot come back. Pure. */
#ifndef JG_CONNECTORS_KAFKA_HOLDING_H
#define JG_CONNECTORS_KAFKA_HOLDING_H

#include "base/buf.h"

#define JG_TOPIC_MAX_BYTES 249 /* Kafka's bound */

/* Append the name. A class is escaped as in the store's keys (jg_name_escape), which is legal in topics. A name over
 * JG_TOPIC_MAX_BYTES cannot be created: the holder says so. */
void jg_holding_topic(struct jg_buf *out, const char *topic, const char *class_name);
void jg_dead_topic(struct jg_buf *out, const char *topic);

/* Is it the name of a holding topic? Then `topic` (JG_TOPIC_MAX_BYTES + 1 bytes are enough) is its origin. */
bool jg_holding_parse(const char *name, char *topic, size_t topic_bytes);
/* Likewise for `<topic>.dead`. */
bool jg_dead_parse(const char *name, char *topic, size_t topic_bytes);

#endif
