/* SPDX-License-Identifier: Apache-2.0 */
/* How the words tell limits: numbers, what goes over what, and who is asked. */
#ifndef JG_CLI_LIMITS_H
#define JG_CLI_LIMITS_H

#include <stdio.h>

#include "cli/cli.h"

#define JG_LIMIT_CHARS 32

/* "10", "none", "paused" */
void jg_cli_limit_text(int64_t limit, char out[JG_LIMIT_CHARS]);
/* From -1 to 1000000; "paused" is -1. */
JG_MUST_USE bool jg_cli_limit_parse(const char *text, int64_t *out);

/* What counts: the override, else what the settings say. */
int64_t jg_cli_limit_now(const struct jg_class_report *report);
/* Has the class to do with limits at all? */
bool jg_cli_limit_matters(const struct jg_class_report *report);
/* Has a running consumer a limit in its settings? An override goes over such alone. */
bool jg_cli_limit_is_asked(const struct jg_class_report *report);

/* Set the override of a class, or take it back (`set` false). */
JG_MUST_USE enum jg_err jg_cli_limit_set(const struct jg_cli *cli, struct jg_store *store, const char *class_name,
                                         bool set, int64_t limit);

/* Say which instances do not agree on the limit. */
void jg_cli_limit_disagreement(FILE *out, const char *class_name, const struct jg_class_report *report);
/* {"told", "settings", "override", "now", "per_key", "disagree", "instances" ...} */
json_t *jg_cli_limit_json(const struct jg_class_report *report);
/* Tickets beyond the free slots: how many now, and whether the resumer says so. */
json_t *jg_cli_ahead_json(const struct jg_class_report *report);

#endif
