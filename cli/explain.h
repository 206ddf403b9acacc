/* SPDX-License-Identifier: Apache-2.0 */
/* What `jobgate explain` found out. */
#ifndef JG_CLI_EXPLAIN_H
#define JG_CLI_EXPLAIN_H

#include "cli/cli.h"

#define JG_EXPLAINED_DUPLICATES 100 /* the store keeps no more of a class */

struct jg_explained {
    char key[JG_KEY_CHARS + 1];
    char jid[JG_JID_CHARS + 1]; /* empty: a key was asked for */
    bool found;
    const char *class_name; /* NULL: not found */
    struct jg_claim_report claim;
    bool was; /* the jid's claim had candidates, and ended by its job's run */
    struct jg_duplicate_report duplicates[JG_EXPLAINED_DUPLICATES]; /* of the key, newest first */
    size_t duplicate_count;
};

/* Print it for people, or as JSON. */
void jg_explained_print(const struct jg_cli *cli, const struct jg_explained *explained);

#endif
