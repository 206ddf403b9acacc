/* SPDX-License-Identifier: Apache-2.0 */
/* What `jobgate explain` found out: gathered in explain.c, judged in explain_why.c, told in explain_print.c. */
#ifndef JG_CLI_EXPLAIN_H
#define JG_CLI_EXPLAIN_H

#include "cli/scan.h"

#define JG_EXPLAINED_DUPLICATES 100 /* the store keeps no more of a class */
#define JG_WHYS 16

/* One reason that keeps the job from running. */
struct jg_why {
    const char *reason; /* as jg_reason_name has it; or duplicate, dead, queued, resuming */
    char text[600];     /* sentences */
};

struct jg_explained {
    char key[JG_KEY_CHARS + 1];
    char jid[JG_JID_CHARS + 1];                 /* empty: a key was asked for */
    bool found;                                 /* the store knows something */
    const char *class_name;                     /* NULL: not known */
    char scanned_class[JG_CLASS_MAX_BYTES + 1]; /* by its messages */

    struct jg_claim_report claim;
    bool was; /* the jid's claim had candidates, and ended by its job's run */
    struct jg_duplicate_report duplicates[JG_EXPLAINED_DUPLICATES]; /* of the key, newest first */
    size_t duplicate_count;

    char subject[JG_JID_CHARS + 1]; /* the job that is explained: `jid`, or whose claim it is; empty: none */
    struct jg_job_report job;       /* of it */
    struct jg_ticket_report ticket; /* when it has one */
    struct jg_class_report class_report;
    struct jg_lease_report lease;     /* that it needs; no token: its class has none, or nobody ever had it */
    char limit_key[JG_KEY_CHARS + 1]; /* of its limit by key, as its ticket or its message says; empty: not known */
    struct jg_key_report key_report;  /* of that */
    int64_t hold_max;                 /* by this command's own settings */

    struct jg_scan *scan; /* NULL: not asked for */
    struct jg_why whys[JG_WHYS];
    size_t why_count;
};

/* Why it was held, or ended without running: the end of a sentence. */
const char *jg_cli_reason_text(enum jg_reason reason);

/* The last duplicate (or candidate) of that jid; NULL: none is remembered. */
const struct jg_duplicate_report *jg_explained_duplicate(const struct jg_explained *explained, const char *jid);

/* Fill in the reasons, from all the rest. */
void jg_explain_why(struct jg_explained *explained);

/* Print it for people, or as JSON. */
void jg_explained_print(const struct jg_cli *cli, const struct jg_explained *explained);

#endif
