/* SPDX-License-Identifier: Apache-2.0 */
/* A store, driven line by line from standard input: the tests of connections hold its server in their hands.
 *
 * open URL TIMEOUT_MS      -> ok | error TEXT (once, first)
 * claim KEY JOB [COUNT]    -> original | duplicate | candidate | estore, and the milliseconds that it took
 *                             COUNT: so many in one call, for the keys KEY, KEY+1 ...
 * admit KEY JOB            -> run | skip | estore, likewise; executed KEY JOB: the same, until_executed
 * confirm, keep, release, renew, complete KEY JOB
 *                          -> changed | unchanged | estore, likewise
 * limited KEY JOB          -> admit with a limit of 1: run | hold | later | skip
 * leased, chained KEY JOB  -> admit with a lease of the class, with a capacity of 5; leased_renew, leased_complete,
 *                             chained_complete KEY JOB: of such
 * slotted, slotted_renew, slotted_complete KEY JOB
 *                          -> likewise with a capacity of 5 by slots; free KEY JOB -> changed | unchanged | estore
 * keyed KEY JOB            -> admit with a limit by key of 1, a key for each KEY; keyed_renew, keyed_complete,
 * keyed_sync mark, unmark KEY JOB     -> the key of such a limit: changed | unchanged graced KEY JOB           -> the
 * same, with a grace of 500 ms sync, override KEY JOB   -> told, likewise: a limit of 1 in the settings; an override of
 * 1 take KEY JOB [COUNT]     -> how many tickets; for COUNT jobs of the keys KEY, KEY+1 ... place, drop, bury, lead,
 * leave, group, announce KEY JOB
 *                          -> changed | unchanged | estore, likewise
 * followed_claim, followed_confirm, followed, followed_take, followed_complete KEY JOB
 *                          -> likewise with follow-ups; job 1 of the key is their original
 * watch                    -> ok | estore; woken -> yes | no: within a second; unwatch -> ok
 * tickets, check           -> ok | estore, likewise; what check finds goes to standard error
 * wait MS                  -> yes | no, likewise
 * up                       -> yes | no
 * tend                     -> ok, likewise
 * crowd COUNT              -> so many threads claim at the same time: ok when each was answered, else estore; the
 *                             milliseconds of the slowest
 * report, duplicates       -> ok | estore, likewise
 * fork KEY JOB             -> claim in a child: what it says
 * scripts                  -> the loader's table, one line a script
 * Logs go to standard error, as in a host that sets no log callback. */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "connectors/redis/script.h"
#include "store_support.h"

#define MOST_OPS 2000
#define MOST_CROWD 64
#define MOST_FOLLOW_UPS 16

static const struct jg_log log_all = {.level = JG_LOG_DEBUG, .name = "shell"};
static struct jg_store *store;

static void
answer(const char *word, int64_t began_ms)
{
    printf("%s %" PRId64 "\n", word, jg_clock_ms() - began_ms);
    fflush(stdout);
}

static void
do_open(const char *url, int64_t timeout_ms)
{
    struct jg_error error = {.text = ""};
    struct jg_store_options options = {.url = url, .name_space = "shell", .timeout_ms = timeout_ms, .log = &log_all};
    if (jg_store_open(&options, &store, &error))
        printf("error %s\n", error.text);
    else
        printf("ok\n");
    fflush(stdout);
}

static const char *
word_of(const struct jg_op *op)
{
    static const char *const claimed[] = {
        [JG_ORIGINAL] = "original", [JG_DUPLICATE] = "duplicate", [JG_CANDIDATE] = "candidate"};
    static const char *const verdicts[] = {
        [JG_RUN] = "run", [JG_HOLD] = "hold", [JG_SKIP] = "skip", [JG_LATER] = "later"};
    static char granted[24];
    if (op->err)
        return op->err == JG_ESTORE ? "estore" : "einval";
    if (op->kind == JG_OP_ADMIT)
        return verdicts[op->verdict];
    if (op->kind == JG_OP_SYNC)
        return "told";
    if (op->kind == JG_OP_TAKE) {
        snprintf(granted, sizeof granted, "%" PRId64, op->granted);
        return granted;
    }
    if (op->kind != JG_OP_CLAIM)
        return op->changed ? "changed" : "unchanged";
    return claimed[op->claimed];
}

/* What is asked by that word. */
struct word {
    const char *word;
    enum jg_op_kind kind;
    enum jg_dedup mode;
    int64_t limit;
    bool leave, override;
    int64_t grace_ms;
    enum jg_lease lease;
    int64_t capacity;
    int64_t per_key;
};

static const char *
carry_out(const struct word *word, unsigned key, unsigned number, size_t count)
{
    enum jg_op_kind kind = word->kind;
    static struct jg_op ops[MOST_OPS];
    static char keys[MOST_OPS][JG_KEY_CHARS + 1], jids[MOST_OPS][JG_JID_CHARS + 1];
    static char limit_keys[MOST_OPS][JG_KEY_CHARS + 1];
    static char members[MOST_OPS][JG_JID_CHARS + 32];
    static const char *items[MOST_OPS];
    static int32_t busy[JG_OP_BUSY_MOST];
    static int64_t epoch, token; /* of the last admission */
    static int64_t follow_ups[MOST_FOLLOW_UPS];
    const bool followed = strncmp(word->word, "followed", 8) == 0;
    char original[JG_JID_CHARS + 1];
    strcpy(original, jid_of(key, 1));
    must(count > 0 && count <= MOST_OPS);
    size_t item_count = 0;
    if (kind == JG_OP_TAKE) {
        for (; item_count < count; item_count++)
            items[item_count] = strcpy(jids[item_count], jid_of(key + (unsigned)item_count, number));
        count = 1;
    } else if (kind == JG_OP_PLACE || kind == JG_OP_DROP) {
        items[item_count++] = jids[0];
        items[item_count] = "jobs/0/17";
        item_count += kind == JG_OP_PLACE;
    } else if (kind == JG_OP_MARK) {
        items[item_count++] = limit_keys[0];
    }
    for (size_t i = 0; i < count; i++) {
        strcpy(keys[i], key_of(key + (unsigned)i));
        strcpy(limit_keys[i], limit_key_of(key + (unsigned)i));
        strcpy(jids[i], jid_of(key + (unsigned)i, number));
        snprintf(members[i], sizeof members[i], "%s@shell@jobs/0/17", jids[i]);
        ops[i] = (struct jg_op){.kind = kind,
                                .class_name = "Class",
                                .key = keys[i],
                                .jid = jids[i],
                                .member = members[i],
                                .dedup = word->mode,
                                .limit = word->limit,
                                .lease = word->lease,
                                .capacity = word->capacity,
                                .load_key = word->capacity ? "load" : NULL,
                                .limit_key = word->per_key ? limit_keys[i] : NULL,
                                .per_key = word->per_key,
                                .slot_ttl_ms = strncmp(word->word, "slotted", 7) == 0 ? 600000 : 0,
                                .done_ttl_ms = word->lease || word->capacity || followed ? 60000 : 0,
                                .follows_up = followed,
                                .follow_up = followed ? follow_ups[number % MOST_FOLLOW_UPS] : 0,
                                .candidate_of = followed ? original : NULL,
                                .follow_ups = followed ? &followed : NULL,
                                .token_in = token,
                                .grace_ms = word->grace_ms,
                                .leave = word->leave,
                                .override_in = {.set = word->override, .limit = word->limit},
                                .override_now = word->override,
                                .items = items,
                                .origin = kind == JG_OP_TAKE ? "jobs" : NULL,
                                .busy = busy,
                                .item_count = item_count,
                                .dedup_ttl_ms = 60000,
                                .dedup_provisional_ms = 60000,
                                .run_ttl_ms = 60000,
                                .epoch_in = epoch};
    }
    enum jg_err err = jg_store_exec(store, ops, count);
    if (!err && kind == JG_OP_CLAIM)
        follow_ups[number % MOST_FOLLOW_UPS] = ops[count - 1].follow_up;
    if (!err && kind == JG_OP_ADMIT) {
        epoch = ops[count - 1].epoch;
        token = ops[count - 1].token ? ops[count - 1].token : token;
    }
    for (size_t i = 0; i < count; i++)
        if (ops[i].err)
            return word_of(&ops[i]);
    must(!err);
    return word_of(&ops[count - 1]);
}

static void
do_fork(unsigned key, unsigned number)
{
    static const struct word claim = {
        "claim", JG_OP_CLAIM, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 0};
    int64_t began_ms = jg_clock_ms();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        answer(carry_out(&claim, key, number, 1), began_ms);
        jg_store_close(store);
        _exit(0);
    }
    int status = 0;
    must(child > 0 && waitpid(child, &status, 0) == child);
    if (status)
        answer("died", began_ms);
}

static void *
claim_in_crowd(void *argument)
{
    const char *key = argument;
    char jid[JG_JID_CHARS + 1];
    snprintf(jid, sizeof jid, "%s-%020x", key, 1u);
    struct jg_op op = {.kind = JG_OP_CLAIM,
                       .class_name = "Class",
                       .key = key,
                       .jid = jid,
                       .dedup = JG_DEDUP_UNTIL_EXECUTING,
                       .dedup_provisional_ms = 60000};
    return jg_store_exec(store, &op, 1) ? argument : NULL;
}

static void
do_crowd(unsigned count)
{
    static char keys[MOST_CROWD][JG_KEY_CHARS + 1];
    pthread_t threads[MOST_CROWD];
    void *failed = NULL, *one;
    int64_t began_ms = jg_clock_ms();
    must(count <= MOST_CROWD);
    for (unsigned i = 0; i < count; i++) {
        snprintf(keys[i], sizeof keys[i], "%032x", 0x10000u + i);
        must(pthread_create(&threads[i], NULL, claim_in_crowd, keys[i]) == 0);
    }
    for (unsigned i = 0; i < count; i++) {
        must(pthread_join(threads[i], &one) == 0);
        failed = one ? one : failed;
    }
    answer(failed ? "estore" : "ok", began_ms);
}

static void
count_one(void *opaque, const struct jg_duplicate_report *duplicate)
{
    (void)duplicate;
    (*(unsigned *)opaque)++;
}

/* The names in `names`, numbered from 1, up to the first that is none. */
static void
print_numbered(const char *const *names, const int *ids, size_t most)
{
    for (size_t i = 0; i < most && ids[i]; i++)
        printf("%s%zu %s", i ? " " : "", i + 1, names[ids[i]]);
}

static void
print_scripts(void)
{
    for (size_t kind = 0; kind < JG_OP_KINDS; kind++) {
        const struct jg_script *script = &jg_scripts[kind];
        int ids[JG_SCRIPT_MAX_KEYS + JG_SCRIPT_MAX_ARGS];
        printf("%s: ", script->name);
        for (size_t i = 0; i < JG_SCRIPT_MAX_KEYS; i++)
            ids[i] = (int)script->keys[i];
        print_numbered(jg_script_key_names, ids, JG_SCRIPT_MAX_KEYS);
        printf(" | ");
        for (size_t i = 0; i < JG_SCRIPT_MAX_ARGS; i++)
            ids[i] = (int)script->args[i];
        print_numbered(jg_script_arg_names, ids, JG_SCRIPT_MAX_ARGS);
        printf("\n");
    }
}

/* True: the line named an operation. */
static bool
do_operation(const char *line)
{
    static const struct word words[] = {
        {"claim", JG_OP_CLAIM, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"confirm", JG_OP_CONFIRM, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"keep", JG_OP_KEEP, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"release", JG_OP_RELEASE, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"admit", JG_OP_ADMIT, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"executed", JG_OP_ADMIT, JG_DEDUP_UNTIL_EXECUTED, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"renew", JG_OP_RENEW, JG_DEDUP_UNTIL_EXECUTED, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"complete", JG_OP_COMPLETE, JG_DEDUP_UNTIL_EXECUTED, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"limited", JG_OP_ADMIT, JG_DEDUP_UNTIL_EXECUTING, 1, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"leased", JG_OP_ADMIT, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_CLASS, 0, 0},
        {"leased_renew", JG_OP_RENEW, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_CLASS, 0, 0},
        {"leased_complete", JG_OP_COMPLETE, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_CLASS, 0, 0},
        {"leased_leave", JG_OP_COMPLETE, JG_DEDUP_UNTIL_EXECUTING, 0, true, false, 0, JG_LEASE_CLASS, 0, 0},
        {"chained", JG_OP_ADMIT, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 5, 0},
        {"chained_complete", JG_OP_COMPLETE, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 5, 0},
        {"slotted", JG_OP_ADMIT, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 5, 0},
        {"slotted_renew", JG_OP_RENEW, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 5, 0},
        {"slotted_complete", JG_OP_COMPLETE, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 5, 0},
        {"free", JG_OP_FREE, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"graced", JG_OP_ADMIT, JG_DEDUP_UNTIL_EXECUTING, 1, false, false, 500, JG_LEASE_NONE, 0, 0},
        {"sync", JG_OP_SYNC, JG_DEDUP_UNTIL_EXECUTING, 1, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"override", JG_OP_SYNC, JG_DEDUP_UNTIL_EXECUTING, 1, false, true, 0, JG_LEASE_NONE, 0, 0},
        {"take", JG_OP_TAKE, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"place", JG_OP_PLACE, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"drop", JG_OP_DROP, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"bury", JG_OP_BURY, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"lead", JG_OP_LEAD, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"leave", JG_OP_LEAD, JG_DEDUP_UNTIL_EXECUTING, 0, true, false, 0, JG_LEASE_NONE, 0, 0},
        {"group", JG_OP_GROUP, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"keyed", JG_OP_ADMIT, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 1},
        {"keyed_renew", JG_OP_RENEW, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 1},
        {"keyed_complete", JG_OP_COMPLETE, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 1},
        {"keyed_sync", JG_OP_SYNC, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 1},
        {"followed_claim", JG_OP_CLAIM, JG_DEDUP_UNTIL_EXECUTED, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"followed_confirm", JG_OP_CONFIRM, JG_DEDUP_UNTIL_EXECUTED, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"followed", JG_OP_ADMIT, JG_DEDUP_UNTIL_EXECUTED, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"followed_take", JG_OP_TAKE, JG_DEDUP_UNTIL_EXECUTED, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"followed_complete", JG_OP_COMPLETE, JG_DEDUP_UNTIL_EXECUTED, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"mark", JG_OP_MARK, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
        {"unmark", JG_OP_MARK, JG_DEDUP_UNTIL_EXECUTING, 0, true, false, 0, JG_LEASE_NONE, 0, 0},
        {"announce", JG_OP_ANNOUNCE, JG_DEDUP_UNTIL_EXECUTING, 0, false, false, 0, JG_LEASE_NONE, 0, 0},
    };
    char word[32];
    unsigned key = 0, number = 0, count = 1;
    int64_t began_ms = jg_clock_ms();
    if (sscanf(line, "%31s %u %u %u", word, &key, &number, &count) < 3)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i].word) == 0) {
            answer(carry_out(&words[i], key, number, count), began_ms);
            return true;
        }
    }
    return false;
}

static void
ignore_ticket(void *opaque, const struct jg_ticket_report *ticket)
{
    (void)opaque;
    (void)ticket;
}

static void
print_finding(void *opaque, enum jg_log_level level, const char *text)
{
    (void)opaque;
    fprintf(stderr, "check: %d %s\n", (int)level, text);
}

/* True: the line was about watches. */
static bool
do_watch(const char *line)
{
    static struct jg_watch *watch;
    int64_t began_ms = jg_clock_ms();
    if (strcmp(line, "watch\n") == 0) {
        answer(jg_store_watch(store, &watch) ? "estore" : "ok", began_ms);
    } else if (strcmp(line, "woken\n") == 0) {
        struct pollfd waits = {.fd = jg_watch_fd(watch), .events = POLLIN};
        bool woken = false;
        enum jg_err err = poll(&waits, 1, 1000) > 0 ? jg_watch_read(watch, &woken) : JG_OK;
        answer(err ? "estore" : woken ? "yes" : "no", began_ms);
    } else if (strcmp(line, "unwatch\n") == 0) {
        jg_watch_close(watch);
        watch = NULL;
        answer("ok", began_ms);
    } else {
        return false;
    }
    return true;
}

static void
do_line(const char *line)
{
    static char url[1024];
    unsigned key = 0, number = 0, count = 0;
    long long ms = 0;
    int64_t began_ms = jg_clock_ms();
    struct jg_class_report report;
    if (sscanf(line, "open %1023s %lld", url, &ms) == 2) {
        do_open(url, ms);
    } else if (sscanf(line, "fork %u %u", &key, &number) == 2) {
        do_fork(key, number);
    } else if (sscanf(line, "crowd %u", &count) == 1) {
        do_crowd(count);
    } else if (sscanf(line, "wait %lld", &ms) == 1) {
        answer(jg_store_wait(store, ms) ? "yes" : "no", began_ms);
    } else if (strcmp(line, "up\n") == 0) {
        answer(jg_store_is_up(store) ? "yes" : "no", began_ms);
    } else if (strcmp(line, "report\n") == 0) {
        answer(jg_store_class_report(store, "Class", &report) ? "estore" : "ok", began_ms);
    } else if (strcmp(line, "duplicates\n") == 0) {
        answer(jg_store_duplicates(store, "Class", count_one, &count) ? "estore" : "ok", began_ms);
    } else if (strcmp(line, "tickets\n") == 0) {
        answer(jg_store_tickets(store, "Class", ignore_ticket, NULL) ? "estore" : "ok", began_ms);
    } else if (strcmp(line, "check\n") == 0) {
        answer(jg_store_check(store, print_finding, NULL) ? "estore" : "ok", began_ms);
    } else if (strcmp(line, "tend\n") == 0) {
        jg_store_tend(store);
        answer("ok", began_ms);
    } else if (strcmp(line, "scripts\n") == 0) {
        print_scripts();
    } else {
        must(do_watch(line) || do_operation(line));
    }
}

int
main(void)
{
    char line[2048];
    while (fgets(line, sizeof line, stdin))
        do_line(line);
    jg_store_close(store);
    return 0;
}
