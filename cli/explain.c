/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate explain: what the store knows of a job key, and of one job. Gathered here, told in explain_print.c. */
#include "cli/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct jg_cli_option jg_cli_explain_options[] = {
    {"class", 'C', "CLASS", "Look at this class only."},
    {"json", 'j', NULL, "As JSON."},
    {.doc = NULL},
};

static bool
take(void *opaque, int letter, const char *value)
{
    const char **class_name = opaque;
    (void)letter;
    *class_name = value;
    return true;
}

/* A key or a jid, in small letters as the plugin writes them. */
static bool
read_subject(const struct jg_cli *cli, const char *text, struct jg_explained *out)
{
    char lower[JG_JID_CHARS + 1] = "";
    size_t bytes = strlen(text);
    for (size_t i = 0; i < bytes && i < JG_JID_CHARS; i++)
        lower[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    bool is_key = bytes == JG_KEY_CHARS && strspn(lower, "0123456789abcdef") == JG_KEY_CHARS;
    bool is_jid = bytes == JG_JID_CHARS && jg_jid_valid(lower, bytes);
    if (!is_key && !is_jid) {
        jg_cli_complain(cli,
                        "'%s' is neither a job key (%d hexadecimal digits) nor a jid (a key, '-', %d more); a message "
                        "holds them in its headers jobgate-key and jobgate-jid, and `jobgate key` computes a key",
                        text, JG_KEY_CHARS, JG_JID_RANDOM_CHARS);
        return false;
    }
    memcpy(out->key, lower, JG_KEY_CHARS);
    if (is_jid)
        memcpy(out->jid, lower, JG_JID_CHARS);
    return true;
}

static void
add_duplicate(void *opaque, const struct jg_duplicate_report *duplicate)
{
    struct jg_explained *explained = opaque;
    bool is_of_key = strncmp(duplicate->jid, explained->key, JG_KEY_CHARS) == 0 ||
                     strncmp(duplicate->original, explained->key, JG_KEY_CHARS) == 0;
    if (!is_of_key || explained->duplicate_count == JG_EXPLAINED_DUPLICATES)
        return;
    explained->duplicates[explained->duplicate_count++] = *duplicate;
}

/* Look for the key in one class. */
static enum jg_err
look(struct jg_store *store, const char *class_name, struct jg_explained *out)
{
    out->claim = (struct jg_claim_report){.state = JG_CLAIM_NONE};
    out->was = false;
    out->duplicate_count = 0;
    enum jg_err err = jg_store_claim_report(store, class_name, out->key, &out->claim);
    if (err == JG_OK && out->jid[0])
        err = jg_store_was(store, class_name, out->jid, &out->was);
    if (err == JG_OK)
        err = jg_store_duplicates(store, class_name, add_duplicate, out);
    out->found = err == JG_OK && (out->claim.state != JG_CLAIM_NONE || out->was || out->duplicate_count > 0);
    out->class_name = out->found ? class_name : NULL;
    return err;
}

/* A key is a hash of the class too: it is of one class only. */
static enum jg_err
search(struct jg_store *store, const char *class_name, struct jg_cli_names *names, struct jg_explained *out)
{
    if (class_name)
        return look(store, class_name, out);
    enum jg_err err = jg_cli_classes(store, names);
    for (size_t i = 0; err == JG_OK && !out->found && i < names->count; i++)
        err = look(store, names->list[i], out);
    return err;
}

static enum jg_exit
explain(struct jg_cli *cli, const char *class_name, struct jg_explained *explained)
{
    enum jg_exit result = JG_EXIT_OK;
    struct jg_store *store = jg_cli_open_store(cli, &result);
    if (!store)
        return result;
    struct jg_cli_names names = {.list = NULL};
    enum jg_err err = search(store, class_name, &names, explained);
    if (err != JG_OK) {
        result = jg_cli_store_failed(cli, err);
    } else {
        jg_explained_print(cli, explained);
        result = explained->found ? JG_EXIT_OK : JG_EXIT_NEGATIVE;
    }
    jg_cli_names_clear(&names);
    jg_store_close(store);
    return result;
}

enum jg_exit
jg_cli_explain(struct jg_cli *cli)
{
    const char *class_name = NULL;
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    if (!jg_cli_options(cli, take, &class_name, &first, &result))
        return result;
    if (cli->count - first != 1) {
        jg_cli_complain(cli, "takes one argument: a jid or a job key");
        return JG_EXIT_USAGE;
    }
    struct jg_explained *explained = calloc(1, sizeof *explained);
    if (!explained) {
        jg_cli_complain(cli, "out of memory");
        return JG_EXIT_USAGE;
    }
    result = JG_EXIT_USAGE;
    if (read_subject(cli, cli->words[first], explained) && jg_cli_finish(cli, false))
        result = explain(cli, class_name, explained);
    free(explained);
    return result;
}
