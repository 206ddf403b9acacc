/* SPDX-License-Identifier: Apache-2.0 */
/* How the words tell capacity and its gauges. */
#ifndef JG_CLI_CAPACITY_H
#define JG_CLI_CAPACITY_H

#include "cli/cli.h"

/* At its capacity: no job of the class starts. */
bool jg_cli_capacity_is_full(const struct jg_class_report *report);

/* The load in a few characters: "7", "7 slots", "0, no key", "no number". */
void jg_cli_load_text(const struct jg_class_report *report, char out[JG_TIME_CHARS]);

/* {"capacity", "full", "load": {"key", "value", "state"}, "work"}, and "slots" where the load is by slots; null for a
 * class without capacity. */
json_t *jg_cli_capacity_json(const struct jg_class_report *report);

/* In slots.c, of a class whose load is by slots: {"taken", "first_expires_ms", "last_expires_ms"}. */
json_t *jg_cli_slots_json(const struct jg_class_report *report);
/* The line of the load. */
void jg_cli_print_slots_taken(const struct jg_class_report *report);
/* Print those that are taken, the first to end first; or append them to `json`. */
JG_MUST_USE enum jg_err jg_cli_slots_list(struct jg_store *store, const char *class_name, json_t *json);
/* Free one by hand. */
enum jg_exit jg_cli_slots_free(struct jg_cli *cli, struct jg_store *store, const char *class_name, const char *jid);

#endif
