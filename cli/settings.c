/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate settings: the table of settings. */
#include <stdio.h>

#include "cli/cli.h"

const struct jg_cli_option jg_cli_settings_options[] = {
    {"json", 'j', NULL, "As JSON."},
    {"markdown", 'm', NULL, "As a Markdown table."},
    {.doc = NULL},
};

static bool
take(void *opaque, int letter, const char *value)
{
    bool *markdown = opaque;
    (void)letter;
    (void)value;
    *markdown = true;
    return true;
}

enum jg_exit
jg_cli_settings(struct jg_cli *cli)
{
    bool markdown = false;
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    if (!jg_cli_options(cli, take, &markdown, &first, &result))
        return result;
    if (first < cli->count) {
        jg_cli_complain(cli, "takes no argument: '%s'", cli->words[first]);
        return JG_EXIT_USAGE;
    }
    jg_conf_print_table(stdout, cli->json ? JG_TABLE_JSON : markdown ? JG_TABLE_MARKDOWN : JG_TABLE_TEXT);
    return JG_EXIT_OK;
}
