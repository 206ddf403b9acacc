/* SPDX-License-Identifier: Apache-2.0 */
/* jobgate leases: who holds which lease. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/limits.h"
#include "cli/runs.h"

const struct jg_cli_option jg_cli_leases_options[] = {
    {"all", 'a', NULL, "Show those too that are free, with the last token that was given."},
    {"json", 'j', NULL, "As JSON."},
    {.doc = NULL},
};

/* One lease, and whose it is. */
struct row {
    const char *class_name; /* borrowed */
    struct jg_lease_report lease;
};

struct request {
    const struct jg_cli *cli;
    bool all;
    const char *class_name; /* of the walk that is under way */
    struct row *rows;       /* owned */
    size_t count;
    size_t free; /* that are not shown */
    bool failed; /* out of memory */
};

static bool
take(void *opaque, int letter, const char *value)
{
    struct request *request = opaque;
    (void)letter;
    (void)value;
    request->all = true;
    return true;
}

static void
add(void *opaque, const struct jg_lease_report *lease)
{
    struct request *request = opaque;
    bool held = lease->member[0] && lease->expires_ms;
    if (!held)
        request->free++;
    if (!held && !request->all)
        return;
    struct row *rows = reallocarray(request->rows, request->count + 1, sizeof *rows);
    if (!rows) {
        request->failed = true;
        return;
    }
    request->rows = rows;
    rows[request->count++] = (struct row){.class_name = request->class_name, .lease = *lease};
    if (!held)
        rows[request->count - 1].lease.member[0] = '\0';
}

static int
compare(const void *left, const void *right)
{
    const struct row *one = left;
    const struct row *other = right;
    int order = strcmp(one->class_name, other->class_name);
    return order ? order : strcmp(one->lease.key, other->lease.key);
}

static bool
is_same(const struct row *one, const struct row *other)
{
    return strcmp(one->class_name, other->class_name) == 0 && strcmp(one->lease.key, other->lease.key) == 0;
}

/* Walking over keys may come by one twice. */
static void
sort(struct request *request)
{
    size_t kept = 0;
    if (request->count > 0)
        qsort(request->rows, request->count, sizeof *request->rows, compare);
    for (size_t i = 0; i < request->count; i++)
        if (kept == 0 || !is_same(&request->rows[kept - 1], &request->rows[i]))
            request->rows[kept++] = request->rows[i];
    request->count = kept;
}

static void
print_row(const struct row *row)
{
    const struct jg_lease_report *lease = &row->lease;
    char left[JG_TIME_CHARS];
    printf("%s", row->class_name);
    if (lease->key[0])
        printf("  key %s", lease->key);
    if (!lease->member[0]) {
        printf("  free, last token %lld\n", (long long)lease->token);
        return;
    }
    jg_cli_run_left(lease->expires_ms, left);
    printf("  held, token %lld, expires in %s unless it is renewed\n    ", (long long)lease->token, left);
    jg_cli_run_print(lease->member);
    putchar('\n');
}

static json_t *
row_json(const struct row *row)
{
    const struct jg_lease_report *lease = &row->lease;
    return json_pack("{s:o, s:o, s:b, s:I, s:o}", "class", jg_cli_json_text(row->class_name, strlen(row->class_name)),
                     "key", jg_cli_json_text(lease->key, strlen(lease->key)), "held", (int)(lease->member[0] != '\0'),
                     "token", (json_int_t)lease->token, "holder", jg_cli_run_json(lease->member, lease->expires_ms));
}

static void
tell(const struct request *request)
{
    const struct jg_cli *cli = request->cli;
    if (cli->json) {
        json_t *list = json_array();
        for (size_t i = 0; i < request->count; i++)
            json_array_append_new(list, row_json(&request->rows[i]));
        jg_cli_print_json(json_pack("{s:s, s:I, s:o}", "namespace", jg_conf_settings(cli->conf)->name_space, "free",
                                    (json_int_t)request->free, "leases", list),
                          JSON_INDENT(2));
        return;
    }
    for (size_t i = 0; i < request->count; i++)
        print_row(&request->rows[i]);
    if (request->count == 0)
        printf("No lease is held.\n");
    if (!request->all && request->free)
        printf("%s%zu free, whose last token is still known (--all shows them)\n", request->count ? "and " : "",
               request->free);
}

/* Keep the one class that was asked for. False: said that it is not known. */
static enum jg_err
choose(const struct request *request, struct jg_store *store, const char *name, struct jg_cli_names *names, bool *known)
{
    struct jg_class_report report = {.claims = 0};
    enum jg_err err = JG_OK;
    *known = jg_cli_names_have(names, name);
    if (!*known)
        err = jg_store_class_report(store, name, &report);
    if (err != JG_OK)
        return err;
    *known = *known || report.told || jg_cli_limit_matters(&report);
    jg_cli_names_clear(names);
    if (*known)
        jg_cli_names_add(names, name);
    else
        jg_cli_complain(request->cli, "class '%s' is not known in namespace '%s': no job of it came, no lease told",
                        name, jg_conf_settings(request->cli->conf)->name_space);
    return names->failed ? JG_ENOMEM : JG_OK;
}

static enum jg_exit
look(struct request *request, struct jg_store *store, const char *name)
{
    struct jg_cli_names names = {.list = NULL};
    bool known = true;
    enum jg_err err = jg_cli_classes(store, &names);
    if (err == JG_OK && name)
        err = choose(request, store, name, &names, &known);
    for (size_t i = 0; err == JG_OK && i < names.count; i++) {
        request->class_name = names.list[i];
        err = jg_store_leases(store, names.list[i], add, request);
    }
    if (err == JG_OK && request->failed)
        err = JG_ENOMEM;
    if (err == JG_OK)
        sort(request);
    if (err == JG_OK && (known || request->cli->json))
        tell(request);
    jg_cli_names_clear(&names);
    if (err != JG_OK)
        return jg_cli_store_failed(request->cli, err);
    return known ? JG_EXIT_OK : JG_EXIT_NEGATIVE;
}

enum jg_exit
jg_cli_leases(struct jg_cli *cli)
{
    struct request request = {.cli = cli};
    int first = 0;
    enum jg_exit result = JG_EXIT_OK;
    if (!jg_cli_options(cli, take, &request, &first, &result))
        return result;
    if (cli->count - first > 1 || (cli->count - first == 1 && !cli->words[first][0])) {
        jg_cli_complain(cli, "takes these arguments: %s", cli->word->arguments);
        return JG_EXIT_USAGE;
    }
    if (!jg_cli_finish(cli, false))
        return JG_EXIT_USAGE;
    struct jg_store *store = jg_cli_open_store(cli, &result);
    if (!store)
        return result;
    result = look(&request, store, first < cli->count ? cli->words[first] : NULL);
    free(request.rows);
    jg_store_close(store);
    return result;
}
