/* SPDX-License-Identifier: Apache-2.0 */
/* The man pages: the tables of words and of settings once more, so that no text is kept twice. */
#include "base/roff.h"
#include "cli/cli.h"

static void
print_title(FILE *out, const char *name, int section, const char *summary)
{
    fprintf(out,
            ".\\\" SPDX-License-Identifier: Apache-2.0\n.TH %s %d \"\" \"jobgate %s\" jobgate\n.nh\n.ad l\n.SH NAME\n",
            name, section, JOBGATE_VERSION);
    fprintf(out, "%s \\- %s\n", name, summary);
}

static void
print_options(FILE *out, const struct jg_cli_option *options)
{
    for (const struct jg_cli_option *option = options; option->doc; option++) {
        fprintf(out, ".TP\n\\fB\\-%c\\fR", option->letter);
        if (option->name) {
            fputs(", \\fB\\-\\-", out);
            jg_roff_words(out, option->name);
            fputs("\\fR", out);
        }
        if (option->argument) {
            fputs(" \\fI", out);
            jg_roff_words(out, option->argument);
            fputs("\\fR", out);
        }
        fputc('\n', out);
        jg_roff_text(out, option->doc);
    }
}

static void
print_word(FILE *out, const struct jg_cli_word *word)
{
    fputs(".SS ", out);
    jg_roff_text(out, word->name);
    fputs("\\fBjobgate ", out);
    jg_roff_words(out, word->name);
    fputs("\\fR ", out);
    jg_roff_text(out, word->arguments);
    fputs(".PP\n", out);
    jg_roff_text(out, word->summary);
    fputs(".PP\n", out);
    jg_roff_text(out, word->details);
    print_options(out, word->options);
    for (const struct jg_cli_option *const *shared = jg_cli_shared_options(word); *shared; shared++)
        print_options(out, *shared);
}

void
jg_cli_print_page(FILE *out)
{
    print_title(out, "jobgate", 1, "look at governed Kafka topics, and steer them");
    fputs(".SH SYNOPSIS\n\\fBjobgate\\fR \\fIWORD\\fR [\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n.SH DESCRIPTION\n",
          out);
    jg_roff_text(out, "The plugin of librdkafka named jobgate (`plugin.library.paths=jobgate`) turns Kafka topics into "
                      "governed job queues. This command tells what it would do and what it does, and steers it while "
                      "programs run.");
    fputs(".SH WORDS\n", out);
    for (const struct jg_cli_word *word = jg_cli_words; word->name; word++)
        print_word(out, word);
    fputs(".SH EXIT STATUS\n", out);
    for (int result = JG_EXIT_OK; result <= JG_EXIT_KAFKA; result++) {
        fprintf(out, ".TP\n\\fB%d\\fR\n", result);
        jg_roff_text(out, jg_cli_results[result]);
    }
    fputs(".SH ENVIRONMENT\n", out);
    jg_roff_text(out, "`JOBGATE_CONFIG` names a file of settings; most settings can be variables of their own, see "
                      "jobgate.conf(5).");
    fputs(".SH FILES\n.TP\n", out);
    jg_roff_bold(out, "/etc/jobgate/GROUP.conf");
    jg_roff_text(out, "The settings of the systemd service `jobgate-resume@GROUP`, which runs `jobgate resume` for the "
                      "consumer group GROUP.");
    fputs(".SH SEE ALSO\n.BR jobgate.conf (5)\n", out);
}

void
jg_cli_print_settings_page(FILE *out)
{
    print_title(out, "jobgate.conf", 5, "settings of jobgate");
    fputs(".SH DESCRIPTION\n", out);
    jg_roff_text(out, "A file of settings has one `name=value` a line, under the names below; blank lines, and lines "
                      "that begin with #, say nothing. The variable `JOBGATE_CONFIG`, the property `jobgate.config` "
                      "and the option `--config` of jobgate(1) name it: no place is looked at otherwise.");
    fputs(".PP\n", out);
    jg_roff_text(out, "The same names can stand among a Kafka client's own properties, after `plugin.library.paths`. "
                      "From the lowest to the highest: the default, the file, the environment, the client's "
                      "properties. A name that means nothing, or a value out of bounds, is an error.");
    fputs(".SH SETTINGS\n", out);
    jg_conf_print_table(out, JG_TABLE_MAN);
    fputs(".SH SEE ALSO\n.BR jobgate (1)\n", out);
}
