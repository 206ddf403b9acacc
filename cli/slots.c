/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate capacity: the capacity slots of a class. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/capacity.h"
#include "cli/runs.h"

json_t *
jg_cli_slots_json(const struct jg_class_report *report)
{
    return json_pack("{s:I, s:o, s:o}", "taken", (json_int_t)report->load, "first_expires_ms",
                     report->load ? json_integer((json_int_t)report->slots_until_ms[0]) : json_null(),
                     "last_expires_ms",
                     report->load ? json_integer((json_int_t)report->slots_until_ms[1]) : json_null());
}

void
jg_cli_print_slots_taken(const struct jg_class_report *report)
{
    char first[JG_TIME_CHARS], last[JG_TIME_CHARS];
    printf("load      %lld of %lld capacity slots taken", (long long)report->load, (long long)report->capacity);
    if (report->load) {
        jg_cli_run_left(report->slots_until_ms[0], first);
        jg_cli_run_left(report->slots_until_ms[1], last);
        printf("; with no release the first is free in %s, the last in %s", first, last);
    }
    putchar('\n');
}

struct list {
    json_t *json; /* NULL: print */
    size_t count;
};

static void
tell_slot(void *opaque, const struct jg_slot_report *slot)
{
    struct list *list = opaque;
    char left[JG_TIME_CHARS];
    list->count++;
    if (list->json) {
        json_array_append_new(list->json,
                              json_pack("{s:s, s:I}", "jid", slot->jid, "expires_ms", (json_int_t)slot->expires_ms));
        return;
    }
    jg_cli_run_left(slot->expires_ms, left);
    printf("  %s  free in %s\n", slot->jid, left);
}

enum jg_err
jg_cli_slots_list(struct jg_store *store, const char *class_name, json_t *json)
{
    struct list list = {.json = json};
    if (!json)
        printf("\n");
    enum jg_err err = jg_store_slots(store, class_name, tell_slot, &list);
    if (err == JG_OK && !json && !list.count)
        printf("No capacity slot is taken.\n");
    return err;
}

enum jg_exit
jg_cli_slots_free(struct jg_cli *cli, struct jg_store *store, const char *class_name, const char *jid)
{
    struct jg_op op = {.kind = JG_OP_FREE, .class_name = class_name, .jid = jid};
    if (!jg_jid_valid(jid, strlen(jid))) {
        jg_cli_complain(cli, "--free takes a jid, as `jobgate capacity CLASS --slots` lists them");
        return JG_EXIT_USAGE;
    }
    enum jg_err err = jg_store_exec(store, &op, 1);
    if (err != JG_OK)
        return jg_cli_store_failed(cli, err);
    if (cli->json)
        jg_cli_print_json(json_pack("{s:o, s:s, s:b}", "class", jg_cli_json_text(class_name, strlen(class_name)), "jid",
                                    jid, "freed", (int)op.changed),
                          JSON_INDENT(2));
    else if (op.changed)
        printf("The capacity slot of %s is free.\n", jid);
    if (!op.changed)
        jg_cli_complain(cli, "job %s has no capacity slot of class '%s' now", jid, class_name);
    return op.changed ? JG_EXIT_OK : JG_EXIT_NEGATIVE;
}
