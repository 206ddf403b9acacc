/* SPDX-License-Identifier: Apache-2.0 */
/* The `jobgate` command. What each word is for stands in one table, from which all help is printed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

const struct jg_cli_word jg_cli_words[] = {
    {.name = "demo",
     .arguments = "[--bootstrap-servers SERVERS --redis URL]",
     .summary =
         "Show in a minute what the plugin does: duplicates dropped, jobs held, a job that enqueues itself again.",
     .details = "An ordinary producer and consumer load the plugin, and what they see is told as it happens. Without "
                "options no server is needed: librdkafka's mock cluster, and a store in memory. Ends with 1 when "
                "something was not as promised, with 3 when the store does not answer.",
     .options = jg_cli_demo_options,
     .run = jg_cli_demo},
    {.name = "settings",
     .arguments = "[--json | --markdown | --man]",
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
    {.name = "check",
     .arguments = "[--group GROUP] [--bootstrap-servers SERVERS] [--json]",
     .summary = "Look before you leap: what is wrong with settings, store and topics.",
     .details = "Each finding is a line that begins with ok, notice, warning or error, and names the cure. Topics are "
                "looked at when Kafka's brokers are named. Ends with 0 when there is no error, with 1 when there is, "
                "with 2 when a client with these settings would be refused, with 3 when the store and with 4 when "
                "Kafka does not answer.",
     .options = jg_cli_check_options,
     .takes_settings = true,
     .run = jg_cli_check},
    {.name = "status",
     .arguments = "[--json | --prometheus] [CLASS...]",
     .summary = "Show claims, running jobs, limits, leases and counters of each class.",
     .details = "Asks the store. Counting claims means walking over them: slow on a large store. A limit with * was "
                "set at run time (`jobgate limit`). Classes with a lease or a capacity are listed once more. With "
                "--prometheus it prints all that Prometheus may want to know, in its text format. Ends with 1 when a "
                "CLASS is not known, with 3 when the store does "
                "not answer.",
     .options = jg_cli_status_options,
     .takes_settings = true,
     .run = jg_cli_status},
    {.name = "explain",
     .arguments = "JID | KEY [--class CLASS] [--scan [--group GROUP] [--topic TOPIC] [--timeout SECONDS]] "
                  "[--bootstrap-servers SERVERS] [--json]",
     .summary = "Tell why a job ran, waits, or was turned away.",
     .details =
         "A key is 32 hexadecimal digits (header jobgate-key, or `jobgate key`); a jid is a key, '-' and 20 more "
         "(header jobgate-jid), and '-' and a number when the job was enqueued again. Without --class all "
         "classes that the store knows are searched. With --scan the governed topics, their holding topics and "
         "dead letters are read, each from its beginning to where it ends now: for a job that the store does "
         "not know, and for where any job is. By a key, what no plugin produced is found too. Nothing is "
         "committed. Ends with 1 when nothing is known or found, with 3 when the store and with 4 when Kafka "
         "does not answer.",
     .options = jg_cli_explain_options,
     .takes_settings = true,
     .run = jg_cli_explain},
    {.name = "leases",
     .arguments = "[CLASS] [--all] [--json]",
     .summary = "List the leases that are held: by which run, with which token, for how long.",
     .details = "Of all classes that the store knows, or of one. A lease expires unless its consumer renews it, by a "
                "heartbeat every third of lease.ttl.ms. Leases by job key are found by walking over keys: slow on a "
                "large store. Ends with 1 when the CLASS is not known, with 3 when the store does not answer.",
     .options = jg_cli_leases_options,
     .takes_settings = true,
     .run = jg_cli_leases},
    {.name = "capacity",
     .arguments = "CLASS [--slots | --free JID] [--json]",
     .summary = "Show a class's load and capacity, and what that means for its next job.",
     .details = "The gauges (capacity.load, capacity.work) are read as consumers read them, by the settings that they "
                "told last. A gauge that holds no number is said to be so, with the cure. Where the load is by slots, "
                "--slots lists them, and --free frees one by hand. Ends with 1 when nothing is known of the class, or "
                "there is no such slot, with 3 when the store does not answer.",
     .options = jg_cli_capacity_options,
     .takes_settings = true,
     .run = jg_cli_capacity},
    {.name = "limit",
     .arguments = "CLASS [N | default] [--json]",
     .summary = "Show or set how many jobs of a class run at once, while programs run.",
     .details = "N goes over the limit in the consumers' settings until `default` takes it back: 1 to 1000000, 0 for "
                "no limit, -1 for paused (as `jobgate pause`). Consumers follow at once. It counts where consumers "
                "have a limit, a lease or a capacity set for the class: others do not ask. What runs goes on when a "
                "limit is lowered. Ends "
                "with 1 when nothing is known of the class, with 3 when the store does not answer.",
     .options = jg_cli_limit_options,
     .takes_settings = true,
     .run = jg_cli_limit},
    {.name = "pause",
     .arguments = "CLASS [--json]",
     .summary = "Start no job of a class until it is unpaused; those that come up are held.",
     .details = "The same as `jobgate limit CLASS -1`. Jobs that run go on. Ends with 3 when the store does not "
                "answer.",
     .options = jg_cli_limit_options,
     .takes_settings = true,
     .run = jg_cli_pause},
    {.name = "unpause",
     .arguments = "CLASS [--limit N] [--json]",
     .summary = "Start jobs of a class again, those that were held first.",
     .details = "The same as `jobgate limit CLASS default`: a limit that was set before the pause does not come back "
                "by itself, --limit sets one. Ends with 3 when the store does not answer.",
     .options = jg_cli_unpause_options,
     .takes_settings = true,
     .run = jg_cli_unpause},
    {.name = "held",
     .arguments = "CLASS --group GROUP --topic TOPIC [--count N] [--bootstrap-servers SERVERS] [--json]",
     .summary = "List the jobs of a class that are held, those that wait longest first.",
     .details = "Reads the holding topic TOPIC.held.CLASS from where the resumer has got to, and commits nothing. All "
                "of it is read, to count it. Ends with 1 when there is no such topic, so that nothing was ever held, "
                "with 4 when Kafka does not answer.",
     .options = jg_cli_held_options,
     .takes_settings = true,
     .run = jg_cli_held},
    {.name = "tail",
     .arguments = "[--topic TOPIC] [--class CLASS] [--event KIND]... [--jid JID | --key KEY] "
                  "[--from-beginning | --since AGE] [--count N] [--timeout SECONDS] [--bootstrap-servers SERVERS] "
                  "[--json]",
     .summary = "Follow what happens to jobs: print their events from the topic of jobgate.events.topic.",
     .details =
         "Programs write an event for each step of a job's life where jobgate.events.topic names a topic. Begins "
         "with events that come from now on, and follows until SIGINT or SIGTERM; waits for a topic that is not "
         "there yet, and for brokers that do not answer. Events of one job stand in one partition; events of "
         "several programs may come in another order than they happened: see their times, which are local. "
         "Commits nothing. Records that are no events are left out, and counted at the end. Ends with 1 when "
         "--timeout is over before --count was reached, with 4 when Kafka refuses.",
     .options = jg_cli_tail_options,
     .takes_settings = true,
     .run = jg_cli_tail},
    {.name = "group",
     .arguments = "TOPIC [GROUP | --clear] [--json]",
     .summary = "Show, or change, which consumer group executes a topic.",
     .details = "One group executes a topic, or each job would run twice. Move a topic when a group is renamed, after "
                "the old group's consumers have ended. Ends with 1 when no group has the topic, with 3 when the store "
                "does not answer.",
     .options = jg_cli_group_options,
     .takes_settings = true,
     .run = jg_cli_group},
    {.name = "resume",
     .arguments = "--group GROUP [--metrics [ADDRESS:]PORT] [--bootstrap-servers SERVERS]",
     .summary = "Bring held jobs back, as a process of its own, until it is told to end.",
     .details = "By default one of the group's consumers does this (jobgate.resumer=embedded), and this word is not "
                "needed; it may run beside them: one leads, the others stand by. With jobgate.resumer=separate no "
                "consumer does, so let this run, twice for safety. Give it the consumers' settings: jobgate.topics, "
                "jobgate.store, jobgate.namespace; limits it learns from the store. Runs in the foreground, ends in "
                "order at SIGTERM or SIGINT. With --metrics it answers over HTTP: /metrics for Prometheus, /healthz "
                "whether it leads or stands by, /-/ready with 503 while the store does not answer. It needs Kafka's "
                "ACLs to Read <topic>.held.* and group GROUP.jobgate, to "
                "Write the topics, and to Write its TransactionalId.",
     .options = jg_cli_resume_options,
     .takes_settings = true,
     .run = jg_cli_resume},
    {.name = "drain",
     .arguments = "TOPIC --group GROUP [--now] [--timeout SECONDS] [--bootstrap-servers SERVERS]",
     .summary = "Wait until nothing of a topic is held any more; for a roll-back, or before a topic goes.",
     .details = "Runs a resumer too, so it works without any consumer's. Without --now jobs come back as slots "
                "become free, as always: the group's consumers have to run, and a class that is paused never "
                "drains. With --now the limit of each class that has a holding topic is set to none, and all of it "
                "comes back at once: when the jobs may all run, or when consumers without jobgate shall do the "
                "rest. To roll back: take the plugin out of the producers first, then drain, then take it out of "
                "the consumers. Ends with 0 when nothing is held, with 1 when the time is over, with 3 when the "
                "store and with 4 when Kafka does not answer.",
     .options = jg_cli_drain_options,
     .takes_settings = true,
     .run = jg_cli_drain},
    {.name = NULL},
};

const char *const jg_cli_results[] = {
    [JG_EXIT_OK] = "yes",
    [JG_EXIT_NEGATIVE] = "no or not found",
    [JG_EXIT_USAGE] = "wrong usage or settings",
    [JG_EXIT_STORE] = "the store does not answer",
    [JG_EXIT_KAFKA] = "Kafka does not answer",
};

static void
print_overview(FILE *out)
{
    fprintf(out, "usage: jobgate WORD [OPTION...] [ARGUMENT...]\n\n");
    for (const struct jg_cli_word *word = jg_cli_words; word->name; word++)
        fprintf(out, "  %-10s %s\n", word->name, word->summary);
    fprintf(out, "\n`jobgate help WORD` tells more, `jobgate help --man` all of it, as a man page. Results:");
    for (int result = JG_EXIT_OK; result <= JG_EXIT_KAFKA; result++)
        fprintf(out, "%s%d %s", result == JG_EXIT_OK ? "\n" : ", ", result, jg_cli_results[result]);
    fprintf(out, ".\n");
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
    if (strcmp(words[1], "--man") == 0) {
        jg_cli_print_page(stdout);
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
