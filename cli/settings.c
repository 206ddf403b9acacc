/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate settings: the table of settings. */
#include <stdio.h>

#include "cli/cli.h"

const struct jg_cli_option jg_cli_settings_options[] = {
    {"json", 'j', NULL, "As JSON."},
    {"markdown", 'm', NULL, "As a Markdown table."},
    {"man", 'M', NULL, "As a man page: jobgate.conf(5)."},
    {.doc = NULL},
};

static bool
take(void *opaque, int letter, const char *value)
{
    enum jg_table_style *style = opaque;
    (void)value;
    *style = letter == 'm' ? JG_TABLE_MARKDOWN : JG_TABLE_MAN;
    return true;
}

enum jg_exit
jg_cli_settings(struct jg_cli *cli)
{
    enum jg_table_style style = JG_TABLE_TEXT;
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    if (!jg_cli_options(cli, take, &style, &first, &result))
        return result;
    if (first < cli->count) {
        jg_cli_complain(cli, "takes no argument: '%s'", cli->words[first]);
        return JG_EXIT_USAGE;
    }
    if (cli->json)
        style = JG_TABLE_JSON;
    if (style == JG_TABLE_MAN)
        jg_cli_print_settings_page(stdout);
    else
        jg_conf_print_table(stdout, style);
    return JG_EXIT_OK;
}
