/* SPDX-License-Identifier: Apache-2.0 */
/* What the words of the `jobgate` command share: their table, their options, the settings, the store. */
#ifndef JG_CLI_CLI_H
#define JG_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "connectors/store.h"
#include "plugin/conf.h"

enum jg_exit {
    JG_EXIT_OK = 0,
    JG_EXIT_NEGATIVE = 1, /* not found, not governed, not identified */
    JG_EXIT_USAGE = 2,    /* the command line or a setting is wrong */
    JG_EXIT_STORE = 3,    /* the store does not answer */
    JG_EXIT_KAFKA = 4     /* Kafka does not answer */
};

struct jg_cli_option {
    const char *name; /* long name; NULL: only the letter */
    int letter;
    const char *argument; /* NULL: takes none */
    const char *doc;      /* NULL ends a list */
};

struct jg_cli;

struct jg_cli_word {
    const char *name;
    const char *arguments; /* for the usage line */
    const char *summary;   /* one line */
    const char *details;   /* paragraphs */
    const struct jg_cli_option *options;
    bool takes_settings; /* has --config and -X too */
    enum jg_exit (*run)(struct jg_cli *cli);
};

/* The words, in the order of help; ends with a name of NULL. */
extern const struct jg_cli_word jg_cli_words[];

/* What each result means, by jg_exit. */
extern const char *const jg_cli_results[];

/* One call of a word. */
struct jg_cli {
    const struct jg_cli_word *word;
    int count; /* of words, the word's own name first */
    char **words;
    struct jg_conf *conf; /* owned */
    bool json;
};

/* Read the options. `take` gets each of the word's own (but --json, --config, -X and --help) and returns false when it
 * has said on standard error why not. What remains are the arguments: words[first] and on.
 * False: *exit is how to end. */
JG_MUST_USE bool jg_cli_options(struct jg_cli *cli, bool (*take)(void *opaque, int letter, const char *value),
                                void *opaque, int *first, enum jg_exit *exit);

void jg_cli_print_help(const struct jg_cli_word *word);
/* The options that come to the word's own. NULL ends the list. */
const struct jg_cli_option *const *jg_cli_shared_options(const struct jg_cli_word *word);

/* jobgate(1), from the table of words; and jobgate.conf(5), from the table of settings. */
void jg_cli_print_page(FILE *out);
void jg_cli_print_settings_page(FILE *out);

/* Complain on standard error, `jobgate <word>: ...`. */
void jg_cli_complain(const struct jg_cli *cli, const char *fmt, ...) JG_PRINTF(2, 3);

/* Freeze the settings. Strict: what would be refused is an error; else it is a warning, and settings that do not
 * concern the store do not matter. False: said why on standard error. */
JG_MUST_USE bool jg_cli_finish(struct jg_cli *cli, bool strict);

/* Open the store that the settings name. NULL: said why on standard error, and *exit is how to end. */
JG_MUST_USE struct jg_store *jg_cli_open_store(const struct jg_cli *cli, enum jg_exit *exit);
/* Say that it did not answer. Returns how to end. */
enum jg_exit jg_cli_store_failed(const struct jg_cli *cli, enum jg_err err);

/* The classes that the store knows, sorted. */
struct jg_cli_names {
    char **list; /* owned, each */
    size_t count;
    bool failed; /* out of memory */
};
JG_MUST_USE enum jg_err jg_cli_classes(struct jg_store *store, struct jg_cli_names *out);
void jg_cli_names_add(struct jg_cli_names *names, const char *name);
bool jg_cli_names_have(const struct jg_cli_names *names, const char *name);
void jg_cli_names_clear(struct jg_cli_names *names);

/* --- output --- */

#define JG_TIME_CHARS 32

/* 2026-01-31T12:00:00.000Z */
void jg_cli_time(int64_t unix_ms, char out[JG_TIME_CHARS]);
/* 250 ms, 1.2 s, 3 min 20 s, 2 h 5 min */
void jg_cli_span(int64_t span_ms, char out[JG_TIME_CHARS]);

/* `before`, the time, and how long ago or hence that is. */
void jg_cli_print_when(const char *before, int64_t unix_ms);
/* Break the text at blanks into lines of 100 columns; all but the first begin with so many blanks. Ends the line. */
void jg_cli_print_wrapped(const char *text, size_t indent);
/* What of others may do nothing to a terminal. */
void jg_cli_print_plain(const char *text, size_t bytes);

const char *jg_cli_action_name(enum jg_dup_action action);

/* A JSON string, or null for text that is NULL, empty or no UTF-8. */
json_t *jg_cli_json_text(const char *text, size_t bytes);
/* Print and release `value`. `flags` as json_dumpf takes. */
void jg_cli_print_json(json_t *value, size_t flags);

/* --- one file a word --- */

enum jg_exit jg_cli_capacity(struct jg_cli *cli);
enum jg_exit jg_cli_check(struct jg_cli *cli);
enum jg_exit jg_cli_demo(struct jg_cli *cli);
enum jg_exit jg_cli_drain(struct jg_cli *cli);
enum jg_exit jg_cli_explain(struct jg_cli *cli);
enum jg_exit jg_cli_group(struct jg_cli *cli);
enum jg_exit jg_cli_held(struct jg_cli *cli);
enum jg_exit jg_cli_key(struct jg_cli *cli);
enum jg_exit jg_cli_leases(struct jg_cli *cli);
enum jg_exit jg_cli_limit(struct jg_cli *cli);
enum jg_exit jg_cli_pause(struct jg_cli *cli);
enum jg_exit jg_cli_resume(struct jg_cli *cli);
enum jg_exit jg_cli_settings(struct jg_cli *cli);
enum jg_exit jg_cli_status(struct jg_cli *cli);
enum jg_exit jg_cli_tail(struct jg_cli *cli);
enum jg_exit jg_cli_unpause(struct jg_cli *cli);

extern const struct jg_cli_option jg_cli_capacity_options[];
extern const struct jg_cli_option jg_cli_check_options[];
extern const struct jg_cli_option jg_cli_demo_options[];
extern const struct jg_cli_option jg_cli_drain_options[];
extern const struct jg_cli_option jg_cli_explain_options[];
extern const struct jg_cli_option jg_cli_group_options[];
extern const struct jg_cli_option jg_cli_held_options[];
extern const struct jg_cli_option jg_cli_key_options[];
extern const struct jg_cli_option jg_cli_leases_options[];
extern const struct jg_cli_option jg_cli_limit_options[]; /* of pause too */
extern const struct jg_cli_option jg_cli_resume_options[];
extern const struct jg_cli_option jg_cli_settings_options[];
extern const struct jg_cli_option jg_cli_status_options[];
extern const struct jg_cli_option jg_cli_tail_options[];
extern const struct jg_cli_option jg_cli_unpause_options[];

#endif
