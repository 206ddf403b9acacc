/* SPDX-License-Identifier: Apache-2.0 */
/* How the words tell capacity and its gauges. */
#ifndef JG_CLI_CAPACITY_H
#define JG_CLI_CAPACITY_H

#include "cli/cli.h"

/* At its capacity: no job of the class starts. */
bool jg_cli_capacity_is_full(const struct jg_class_report *report);

/* The load in a few characters: "7", "0, no key", "no number". */
void jg_cli_load_text(const struct jg_class_report *report, char out[JG_TIME_CHARS]);

/* {"capacity", "full", "load": {"key", "value", "state"}, "work"}; null for a class without capacity. */
json_t *jg_cli_capacity_json(const struct jg_class_report *report);

#endif
