/* SPDX-License-Identifier: Apache-2.0 */
/* The `jobgate` command. What each word is for stands in one table, from which all help is printed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

const struct jg_cli_word jg_cli_words[] = {
    {.name = "demo",
     .arguments = "[--bootstrap-servers SERVERS --redis URL]",
     .summary = "Show in a minute what the plugin does: duplicates dropped, claims released.",
     .details = "An ordinary producer and consumer load the plugin, and what they see is told as it happens. Without "
                "options no server is needed: librdkafka's mock cluster, and a store in memory. Ends with 1 when "
                "something was not as promised, with 3 when the store does not answer.",
     .options = jg_cli_demo_options,
     .run = jg_cli_demo},
    {.name = "settings",
     .arguments = "[--json | --markdown]",
     .summary = "List all settings: names, values, defaults, what they do.",
     .details = "Each name can stand among a client's properties and in the file that jobgate.config names. Global and "
                "default settings can also be environment variables.",
     .options = jg_cli_settings_options,
     .run = jg_cli_settings},
    {.name = "key",
     .arguments = "--topic TOPIC [--payload FILE] [--key KEY] [--header NAME=VALUE]... [--lines] [--json]",
     .summary = "Show what the plugin reads in a message: class, arguments, job key, policy.",
     .details = "Reads a payload from standard input, or from a file, and identifies it as the plugin would with these "
                "settings: the way to check selectors. No server is asked. Ends with 1 when the topic is not governed, "
                "or the message is not identified.",
     .options = jg_cli_key_options,
     .takes_settings = true,
     .run = jg_cli_key},
    {.name = "status",
     .arguments = "[--json] [CLASS...]",
     .summary = "Show claims, running jobs and counters of each class.",
     .details = "Asks the store. Counting claims means walking over them: slow on a large store. Ends with 1 when a "
                "CLASS is not known, with 3 when the store does not answer.",
     .options = jg_cli_status_options,
     .takes_settings = true,
     .run = jg_cli_status},
    {.name = "explain",
     .arguments = "JID | KEY [--class CLASS] [--json]",
     .summary = "Tell why a job ran, waits, or was turned away.",
     .details =
         "A key is 32 hexadecimal digits (header jobgate-key, or `jobgate key`); a jid is a key, '-' and 20 more "
         "(header jobgate-jid). Without --class all classes that the store knows are searched. Ends with 1 when "
         "nothing is known, with 3 when the store does not answer.",
     .options = jg_cli_explain_options,
     .takes_settings = true,
     .run = jg_cli_explain},
    {.name = NULL},
};

static void
print_overview(FILE *out)
{
    fprintf(out, "usage: jobgate WORD [OPTION...] [ARGUMENT...]\n\n");
    for (const struct jg_cli_word *word = jg_cli_words; word->name; word++)
        fprintf(out, "  %-10s %s\n", word->name, word->summary);
    fprintf(out,
            "\n`jobgate help WORD` tells more. Results: 0 yes, 1 no or not found, 2 wrong usage or settings, 3 the\n"
            "store does not answer.\n");
}

static const struct jg_cli_word *
find_word(const char *name)
{
    for (const struct jg_cli_word *word = jg_cli_words; word->name; word++) {
        if (strcmp(word->name, name) == 0)
            return word;
    }
    return NULL;
}

static enum jg_exit
unknown_word(const char *name)
{
    fprintf(stderr, "jobgate: there is no word '%s'\n", name);
    print_overview(stderr);
    return JG_EXIT_USAGE;
}

static enum jg_exit
help(int count, char **words)
{
    if (count < 2) {
        print_overview(stdout);
        return JG_EXIT_OK;
    }
    const struct jg_cli_word *word = find_word(words[1]);
    if (!word)
        return unknown_word(words[1]);
    jg_cli_print_help(word);
    return JG_EXIT_OK;
}

static enum jg_exit
run_word(const struct jg_cli_word *word, int count, char **words)
{
    struct jg_cli cli = {.word = word, .count = count, .words = words, .conf = jg_conf_new()};
    if (!cli.conf) {
        fprintf(stderr, "jobgate: out of memory\n");
        return JG_EXIT_USAGE;
    }
    enum jg_exit result = word->run(&cli);
    jg_conf_destroy(cli.conf);
    return result;
}

static enum jg_exit
run(int count, char **words)
{
    if (count < 1) {
        print_overview(stderr);
        return JG_EXIT_USAGE;
    }
    if (strcmp(words[0], "--version") == 0) {
        printf("jobgate %s\n", JOBGATE_VERSION);
        return JG_EXIT_OK;
    }
    if (strcmp(words[0], "help") == 0 || strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0)
        return help(count, words);
    const struct jg_cli_word *word = find_word(words[0]);
    return word ? run_word(word, count, words) : unknown_word(words[0]);
}

int
main(int argc, char **argv)
{
    enum jg_exit result = run(argc - 1, argv + 1);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("jobgate: standard output");
        return JG_EXIT_NEGATIVE;
    }
    return (int)result;
}
