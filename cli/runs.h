/* SPDX-License-Identifier: Apache-2.0 */
/* How the words tell runs, which the store names `jid@instance@topic/partition/offset`. */
#ifndef JG_CLI_RUNS_H
#define JG_CLI_RUNS_H

#include "cli/cli.h"

struct jg_cli_run {
    char jid[JG_JID_CHARS + 1];
    char instance[256];
    char position[JG_MEMBER_MAX_BYTES]; /* topic/partition/offset */
    char topic[JG_MEMBER_MAX_BYTES];
    int64_t partition;
    int64_t offset;
};

/* Take a member apart. False: it is none. */
JG_MUST_USE bool jg_cli_run_parse(const char *member, struct jg_cli_run *out);

/* "job <jid>, on <instance>, at <topic/partition/offset>", or the member itself when it is none. No line end. */
void jg_cli_run_print(const char *member);

/* "12.3 s", or "a moment" when it is over by this host's clock. */
void jg_cli_run_left(int64_t expires_ms, char out[JG_TIME_CHARS]);

/* {"member", "jid", "instance", "topic", "partition", "offset", "expires_ms"}; null for an empty member. `expires_ms`
 * is null when it is 0. */
json_t *jg_cli_run_json(const char *member, int64_t expires_ms);

#endif
