/* SPDX-License-Identifier: Apache-2.0 */
/* Options and help of a word, from its table; and the settings that all words but a few take. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

#define MOST_OPTIONS 16
#define COLUMNS 100

static const struct jg_cli_option common_options[] = {
    {NULL, 'X', "NAME=VALUE", "Set a property, e.g. -X jobgate.store=redis://localhost:6379; may be repeated."},
    {"config", 'c', "FILE", "Read this file of settings; instead of JOBGATE_CONFIG."},
    {.doc = NULL},
};
static const struct jg_cli_option help_option[] = {{"help", 'h', NULL, "Show this."}, {.doc = NULL}};

const struct jg_cli_option *const *
jg_cli_shared_options(const struct jg_cli_word *word)
{
    static const struct jg_cli_option *const shared[] = {common_options, help_option, NULL};
    return word->takes_settings ? shared : shared + 1;
}

void
jg_cli_complain(const struct jg_cli *cli, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "jobgate %s: ", cli->word->name);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

void
jg_cli_print_wrapped(const char *text, size_t indent)
{
    size_t column = COLUMNS;
    for (const char *at = text; *at;) {
        size_t bytes = strcspn(at, " ");
        if (column + bytes + 1 > COLUMNS) {
            printf("%s%*s", at == text ? "" : "\n", at == text ? 0 : (int)indent, "");
            column = indent;
        } else {
            putchar(' ');
            column++;
        }
        fwrite(at, 1, bytes, stdout);
        column += bytes;
        at += bytes + strspn(at + bytes, " ");
    }
    putchar('\n');
}

static void
print_options(const struct jg_cli_option *options)
{
    for (const struct jg_cli_option *option = options; option->doc; option++) {
        char left[64];
        snprintf(left, sizeof left, "-%c%s%s%s%s", option->letter, option->name ? ", --" : "",
                 option->name ? option->name : "", option->argument ? " " : "",
                 option->argument ? option->argument : "");
        printf("  %-28s ", left);
        if (strlen(left) > 28)
            printf("\n%*s", 31, "");
        jg_cli_print_wrapped(option->doc, 31);
    }
}

void
jg_cli_print_help(const struct jg_cli_word *word)
{
    printf("usage: jobgate %s %s\n\n", word->name, word->arguments);
    jg_cli_print_wrapped(word->summary, 0);
    putchar('\n');
    jg_cli_print_wrapped(word->details, 0);
    putchar('\n');
    print_options(word->options);
    for (const struct jg_cli_option *const *shared = jg_cli_shared_options(word); *shared; shared++)
        print_options(*shared);
}

/* What getopt_long wants. */
struct getopt_tables {
    char letters[2 * MOST_OPTIONS + 2];
    struct option names[MOST_OPTIONS + 1];
    size_t letter_count;
    size_t name_count;
};

static void
add_options(struct getopt_tables *tables, const struct jg_cli_option *options)
{
    for (const struct jg_cli_option *option = options; option->doc; option++) {
        tables->letters[tables->letter_count++] = (char)option->letter;
        if (option->argument)
            tables->letters[tables->letter_count++] = ':';
        if (option->name)
            tables->names[tables->name_count++] =
                (struct option){option->name, option->argument ? required_argument : no_argument, NULL, option->letter};
    }
}

static bool
set_property(struct jg_cli *cli, const char *text)
{
    char name[1024];
    struct jg_error error = {.text = ""};
    const char *equals = strchr(text, '=');
    if (!equals || (size_t)(equals - text) >= sizeof name) {
        jg_cli_complain(cli, "-X takes NAME=VALUE, e.g. -X jobgate.store=redis://localhost:6379");
        return false;
    }
    snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    enum jg_err err = jg_conf_set(cli->conf, name, equals + 1, &error);
    if (err == JG_ENOENT)
        jg_cli_complain(cli, "-X sets names that start with jobgate. (properties of our own Kafka clients: "
                             "jobgate.kafka.<property>)");
    else if (err != JG_OK)
        jg_cli_complain(cli, "%s", error.text);
    return err == JG_OK;
}

static bool
set_file(struct jg_cli *cli, const char *path)
{
    struct jg_error error = {.text = ""};
    enum jg_err err = jg_conf_set(cli->conf, "jobgate.config", path, &error);
    if (err != JG_OK)
        jg_cli_complain(cli, "%s", error.text);
    return err == JG_OK;
}

/* After the options, so that --config takes the place of a JOBGATE_CONFIG that cannot be read. */
static bool
load_environment(struct jg_cli *cli)
{
    struct jg_error error = {.text = ""};
    if (!cli->word->takes_settings || jg_conf_load_env(cli->conf, &error) == JG_OK)
        return true;
    jg_cli_complain(cli, "%s", error.text);
    return false;
}

bool
jg_cli_options(struct jg_cli *cli, bool (*take)(void *opaque, int letter, const char *value), void *opaque, int *first,
               enum jg_exit *exit)
{
    struct getopt_tables tables = {.letters = ""};
    add_options(&tables, cli->word->options);
    for (const struct jg_cli_option *const *shared = jg_cli_shared_options(cli->word); *shared; shared++)
        add_options(&tables, *shared);
    char program[64];
    char *own_name = cli->words[0];
    snprintf(program, sizeof program, "jobgate %s", cli->word->name);
    cli->words[0] = program; /* getopt_long complains under this name */
    *exit = JG_EXIT_USAGE;
    bool good = true;
    int letter = 0;
    while (good && (letter = getopt_long(cli->count, cli->words, tables.letters, tables.names, NULL)) != -1) {
        if (letter == 'h') {
            jg_cli_print_help(cli->word);
            *exit = JG_EXIT_OK;
            good = false;
        } else if (letter == '?') {
            fprintf(stderr, "usage: jobgate %s %s\n", cli->word->name, cli->word->arguments);
            good = false;
        } else if (letter == 'j') {
            cli->json = true;
        } else if (letter == 'X') {
            good = set_property(cli, optarg);
        } else if (letter == 'c') {
            good = set_file(cli, optarg);
        } else {
            good = take && take(opaque, letter, optarg);
        }
    }
    cli->words[0] = own_name;
    *first = optind;
    return good && load_environment(cli);
}
