/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets of a holding topic's partition beyond the committed one whose jobs were resumed already, and how they stand
 * in the metadata of that commit. Pure.
 *
 * The text is base64 (without padding) of: a version, 1; a CRC-32 (big endian) of topic, partition, committed offset
 * and what follows, so that it counts only beside the offset that it was committed with; then, from the committed
 * offset on, the lengths of alternating runs as varints, the first of what waits, the last of what was resumed. */
#ifndef JG_CONNECTORS_KAFKA_PASSED_H
#define JG_CONNECTORS_KAFKA_PASSED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define JG_PASSED_TEXT_MAX 4096 /* what brokers take, by their default */
#define JG_PASSED_BYTES_MAX (JG_PASSED_TEXT_MAX / 4 * 3 - 5)

struct jg_passed_run {
    int64_t first, end;
};

/* Ascending, never adjacent. */
struct jg_passed {
    struct jg_passed_run *runs; /* owned */
    size_t count, capacity;
    int64_t total; /* of offsets */
};

/* False: out of memory, and nothing is changed. */
JG_MUST_USE bool jg_passed_add(struct jg_passed *passed, int64_t offset);
bool jg_passed_has(const struct jg_passed *passed, int64_t offset);
/* Forget what is before *next, and move *next behind a run that begins there. */
void jg_passed_trim(struct jg_passed *passed, int64_t *next);
/* False: out of memory. */
JG_MUST_USE bool jg_passed_copy(const struct jg_passed *from, struct jg_passed *out);
void jg_passed_clear(struct jg_passed *passed);

/* How many of JG_PASSED_BYTES_MAX it takes beside `next`, which is before its first run. */
size_t jg_passed_bytes(const struct jg_passed *passed, int64_t next);
/* At most so many more with one offset more, whatever else joins it up to `offset`. */
size_t jg_passed_cost(const struct jg_passed *passed, int64_t next, int64_t offset);

/* `out` has JG_PASSED_TEXT_MAX + 1 bytes; empty for an empty set. False: it does not fit. */
JG_MUST_USE bool jg_passed_text(const struct jg_passed *passed, const char *topic, int32_t partition, int64_t next,
                                char *out);
/* Fill an empty set from a commit's metadata. JG_EINVAL: it is not of our making, or belongs to another offset;
 * JG_ENOMEM. Then the set is empty. */
JG_MUST_USE enum jg_err jg_passed_parse(const void *text, size_t text_bytes, const char *topic, int32_t partition,
                                        int64_t next, struct jg_passed *out);

#endif
