/* SPDX-License-Identifier: Apache-2.0 */
/* Carries out store operations for tests of what the `jobgate` command tells of them.
 *
 * usage: store_ops URL NAMESPACE < lines
 *
 * A line: OPERATION CLASS KEY JID DEDUP [ACTION | MEMBER]. OPERATION is claim, confirm, release, admit or complete;
 * ACTION (claim) is mark or reject; MEMBER (admit, complete) names the run. Prints one word a line: the outcome. */
#include <stdio.h>
#include <string.h>

#include "connectors/store.h"

static const char *const kinds[JG_OP_KINDS] = {
    [JG_OP_CLAIM] = "claim", [JG_OP_CONFIRM] = "confirm",   [JG_OP_RELEASE] = "release",
    [JG_OP_ADMIT] = "admit", [JG_OP_COMPLETE] = "complete",
};

static const char *
outcome(const struct jg_op *op)
{
    static const char *const claimed[] = {
        [JG_ORIGINAL] = "original", [JG_DUPLICATE] = "duplicate", [JG_CANDIDATE] = "candidate"};
    static const char *const verdicts[] = {[JG_RUN] = "run", [JG_HOLD] = "hold", [JG_SKIP] = "skip"};
    if (op->err != JG_OK)
        return "failed";
    if (op->kind == JG_OP_CLAIM)
        return claimed[op->claimed];
    if (op->kind == JG_OP_ADMIT)
        return verdicts[op->verdict];
    return op->changed ? "changed" : "unchanged";
}

static bool
run_line(struct jg_store *store, const char *line)
{
    char kind[16];
    char class_name[128];
    char key[64];
    char jid[64];
    char dedup[32];
    char last[256] = "";
    if (sscanf(line, "%15s %127s %63s %63s %31s %255s", kind, class_name, key, jid, dedup, last) < 5)
        return false;
    struct jg_op op = {
        .kind = JG_OP_KINDS,
        .class_name = class_name,
        .key = key,
        .jid = jid,
        .dedup_ttl_ms = 600000,
        .dedup_provisional_ms = 30000,
        .action = strcmp(last, "reject") == 0 ? JG_DUP_REJECT : JG_DUP_MARK,
        .member = last,
        .run_ttl_ms = JG_RUN_TTL_MS,
    };
    for (int i = 0; i < JG_OP_KINDS; i++) {
        if (kinds[i] && strcmp(kinds[i], kind) == 0)
            op.kind = (enum jg_op_kind)i;
    }
    if (op.kind == JG_OP_KINDS || !jg_dedup_parse(dedup, strlen(dedup), &op.dedup))
        return false;
    bool good = jg_store_exec(store, &op, 1) == JG_OK;
    printf("%s\n", outcome(&op));
    return good;
}

int
main(int argc, char **argv)
{
    struct jg_error error;
    struct jg_store *store = NULL;
    if (argc != 3)
        return 2;
    struct jg_store_options options = {.url = argv[1], .name_space = argv[2], .timeout_ms = 5000};
    if (jg_store_open(&options, &store, &error) != JG_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 2;
    }
    char line[1024];
    bool good = true;
    while (good && fgets(line, sizeof line, stdin))
        good = run_line(store, line);
    jg_store_close(store);
    return good ? 0 : 1;
}
