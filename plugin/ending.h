/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that the application has reported as ended (completion=api), and whose offset is not finished yet: the store has
 * to be told, or a successor is on its way. Positions. Pure: no I/O, no lock (the caller's). */
#ifndef JG_PLUGIN_ENDING_H
#define JG_PLUGIN_ENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct jg_ending {
    struct jg_ending *next;
    int32_t partition;
    int64_t offset;
    char topic[];
};

JG_MUST_USE enum jg_err jg_ending_add(struct jg_ending **list, const char *topic, int32_t partition, int64_t offset);
bool jg_ending_has(const struct jg_ending *list, const char *topic, int32_t partition, int64_t offset);
/* Take it out, if it is there; offset negative: all of the partition; topic NULL: all. */
void jg_ending_remove(struct jg_ending **list, const char *topic, int32_t partition, int64_t offset);

#endif
