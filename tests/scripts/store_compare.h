/* SPDX-License-Identifier: Apache-2.0 */
/* Two stores that are asked the same; see store_compare.c. */
#ifndef JG_TESTS_STORE_COMPARE_H
#define JG_TESTS_STORE_COMPARE_H

#include "store_support.h"

#define KEYS 2
#define JOBS 4 /* a key */
#define INSTANCES 2
#define EPOCHS 64
#define TOKENS 64
#define LIMIT_KEYS 2
#define LINKS 3 /* of a chain */
#define ITEMS 8 /* of an operation, at most */
#define HISTORY 40

/* Times are multiples of this, and an odd half of it apart: the milliseconds that the test itself takes decide nothing.
 */
#define UNIT_MS 1000000
#define SLACK_MS 300000

/* What has to come up in a long run, else it compares nothing. */
enum sight {
    SAW_LIMIT,
    SAW_BEHIND,
    SAW_PAUSED,
    SAW_LATER_LIMIT,
    SAW_GRACE,
    SAW_FULL,
    SAW_TICKETED_RUN,
    SAW_GRANT,
    SAW_TAKE_GRACE,
    SAW_PLACED,
    SAW_DROPPED,
    SAW_BURIED,
    SAW_OVERRIDE,
    SAW_TOKEN,
    SAW_LEASE,
    SAW_TAKEN,
    SAW_CAPACITY,
    SAW_LATER_MORE,
    SAW_DONE,
    SAW_DONE_NEXT,
    SAW_COPY,
    SAW_NEXT,
    SAW_NEXT_WAITS,
    SAW_NEXT_AGAIN,
    SAW_LEASED_AGAIN,
    SAW_LEASED_OVER,
    SAW_LEASED_GRANT,
    SAW_KEY_GRANT,
    SAW_KEY,
    SAW_LATER_KEY,
    SAW_KEYED_RUN,
    SAW_KEYED_BEHIND,
    SAW_KEYED_GRANT,
    SAW_MARKED,
    SAW_UNMARKED,
    SAW_SLOT,
    SAW_NO_SLOT,
    SAW_OWN_SLOT,
    SAW_SLOT_NEXT_WAITS,
    SAW_SLOT_FREED,
    SAW_SLOT_UNKNOWN,
    SAW_SLOT_TAKE,
    SAW_FOLLOW_UP,
    SAW_FOLLOW_UP_HELD,
    SAW_FOLLOW_UP_RUN,
    SAW_FOLLOW_UP_SKIPPED,
    SAW_FOLLOW_UP_NOTED,
    SAW_FOLLOW_UP_WAITS,
    SAW_FOLLOW_UP_GOES,
    SIGHTS
};
#define LONG_RUN 5000

struct comparison {
    unsigned sights[SIGHTS];
    struct subject sides[2]; /* by subject_kind */
    int64_t epochs[2][EPOCHS];
    unsigned epoch_count;
    unsigned asked_key, asked_job; /* for a ticket, last */
    int64_t override_at_ms[2];     /* as last seen */
    int64_t tokens[2][TOKENS];     /* that were given, in order */
    unsigned token_of[TOKENS];     /* which lease's: each has a row of its own */
    unsigned token_count;
    int64_t numbers[2][KEYS][JOBS]; /* of follow-ups; 0: the job is none */
    char load_key[80], work_key[80];
    struct jg_op usual; /* the settings that most operations have: limit, lease, capacity */
    /* The last run that was admitted; of the operation, only what the settings say. */
    struct jg_op ran;
    unsigned ran_key;
    char ran_jid[JG_JID_CHARS + 1], ran_member[JG_MEMBER_MAX_BYTES];
    uint64_t random;
    uint64_t seed;
    char history[HISTORY][740];
    unsigned steps;
};

/* Print what differs, the seed and the last steps, and end the test, unless that is equal. */
void compare_check(struct comparison *cmp, bool equal, const char *what);
/* Times, as far as the test's own pace matters nothing. */
bool compare_near(int64_t one, int64_t other);

void compare_claim(struct comparison *cmp, unsigned key);
/* The class's whole state, as far as reports show it. */
void compare_class(struct comparison *cmp);

#endif
