/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors: where in a message its class, args or id stands. Parsing and freeing are declared in identify.h. */
#ifndef JG_PLUGIN_SELECTOR_H
#define JG_PLUGIN_SELECTOR_H

#include "plugin/canon.h"
#include "plugin/identify.h"

enum jg_selector_kind {
    JG_SELECT_HEADER,
    JG_SELECT_FIELD,
    JG_SELECT_KEY,
    JG_SELECT_PAYLOAD,
    JG_SELECT_TOPIC,
    JG_SELECT_CONST
};

/* One step of a path: a member's name or, where it is a number and the value is an array, an item's index. */
struct jg_step {
    char *name; /* canonical text without its quotes; owned */
    size_t name_bytes;
    bool is_index;
    size_t index;
};

struct jg_path {
    struct jg_step *steps; /* owned */
    size_t count;
};

struct jg_selector {
    enum jg_selector_kind kind;
    char *text;            /* as it was set, for messages; owned */
    const char *argument;  /* what follows the first colon; within `text` */
    struct jg_path *paths; /* JG_SELECT_FIELD: one, or, for a comma list, several, whose values make an array; owned */
    size_t path_count;
};

/* Does it read the payload, so that the payload must be parsed? */
bool jg_selector_reads_payload(const struct jg_selector *selector);

/* Append the canonical text of what `selector` finds to `out`. `payload` is the payload's canonical text, or none when
 * it was not parsed. False: it finds nothing (or `out` failed). */
JG_MUST_USE bool jg_selector_find(const struct jg_selector *selector, const struct jg_message *message,
                                  struct jg_span payload, struct jg_buf *out);

#endif
