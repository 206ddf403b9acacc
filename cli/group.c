/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate group: which consumer group executes a topic. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

#define HOLDS_MS 60000

const struct jg_cli_option jg_cli_group_options[] = {
    {"clear", 'x', NULL, "Take the topic away from its group: the first group that consumes it has it then."},
    {"json", 'j', NULL, "As JSON."},
    {.doc = NULL},
};

static bool
take(void *opaque, int letter, const char *value)
{
    bool *clear = opaque;
    (void)letter;
    (void)value;
    *clear = true;
    return true;
}

static void
say(const struct jg_cli *cli, const struct jg_op *op)
{
    const char *topic = op->class_name;
    const char *group = op->force ? (op->leave ? "" : op->member) : op->other;
    if (cli->json)
        jg_cli_print_json(json_pack("{s:o, s:o, s:b}", "topic", jg_cli_json_text(topic, strlen(topic)), "group",
                                    jg_cli_json_text(group, strlen(group)), "changed", (int)op->force),
                          JSON_INDENT(2));
    else if (op->leave && op->force)
        printf("No group has topic '%s' now: the first one that consumes it has it then.\n", topic);
    else if (op->force)
        printf("Group '%s' executes topic '%s' now. It has the topic for %d s, and keeps it while its consumers run.\n"
               "Consumers of other groups do not execute it; those that only look on set jobgate.observe=true.\n",
               group, topic, HOLDS_MS / 1000);
    else if (group[0])
        printf("Group '%s' executes topic '%s'.\n", group, topic);
    else
        printf("No group executes topic '%s': the first one that consumes it has it then.\n", topic);
}

static enum jg_exit
carry_out(struct jg_cli *cli, struct jg_op *op)
{
    enum jg_exit result = JG_EXIT_USAGE;
    if (!jg_cli_finish(cli, false))
        return JG_EXIT_USAGE;
    struct jg_store *store = jg_cli_open_store(cli, &result);
    if (!store)
        return result;
    enum jg_err err = jg_store_exec(store, op, 1);
    if (err == JG_OK) {
        say(cli, op);
        result = op->force || op->other[0] ? JG_EXIT_OK : JG_EXIT_NEGATIVE;
    } else {
        result = jg_cli_store_failed(cli, err);
    }
    jg_store_close(store);
    return result;
}

enum jg_exit
jg_cli_group(struct jg_cli *cli)
{
    bool clear = false;
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    if (!jg_cli_options(cli, take, &clear, &first, &result))
        return result;
    int given = cli->count - first;
    if (given < 1 || given > 2 || (clear && given == 2) || !cli->words[first][0]) {
        jg_cli_complain(cli, "takes these arguments: %s", cli->word->arguments);
        return JG_EXIT_USAGE;
    }
    /* Without a name it only asks. */
    struct jg_op op = {.kind = JG_OP_GROUP, .class_name = cli->words[first], .member = "", .run_ttl_ms = HOLDS_MS};
    if (given == 2)
        op.member = cli->words[first + 1];
    op.leave = clear;
    op.force = clear || given == 2;
    if (given == 2 && (!op.member[0] || strlen(op.member) >= sizeof op.other)) {
        jg_cli_complain(cli, "a group's name has 1 to %d bytes", (int)sizeof op.other - 1);
        return JG_EXIT_USAGE;
    }
    return carry_out(cli, &op);
}
