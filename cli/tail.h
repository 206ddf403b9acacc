/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `jobgate tail` share. */
#ifndef JG_CLI_TAIL_H
#define JG_CLI_TAIL_H

#include "plugin/event_avro.h"

/* One event as a line for people, or as JSON with the names of schemas/event.avsc; at once. */
void jg_tail_print(const struct jg_event_record *record, bool json);

#endif
