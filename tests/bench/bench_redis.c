/* SPDX-License-Identifier: Apache-2.0 */
/* What the plugin is measured against: the same script calls, byte for byte (the plugin's own code writes them, before
 * the clock starts), sent by hiredis with nothing around them, each job with a fresh key. No Kafka, no librdkafka.
 *
 *   ping                      one PING a round trip: what the machine gives
 *   claim                     one claim a round trip
 *   produce, pipeline of 1    one claim a round trip; after every 64 the 64 confirmations in one pipeline, about as the
 *                             plugin's background thread sends them
 *   produce, pipeline of N    N claims and the confirmations of the N jobs before, in one pipeline
 *   run                       one admit a round trip (until_executing); one complete and the next job's admit a round
 *                             trip (until_executed). Jobs are claimed and confirmed before the clock starts. */
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "connectors/redis/conn.h"
#include "connectors/redis/resp.h"
#include "connectors/redis/script.h"

#define PREFIX "jg1:bench:"
#define CLASS "BenchWorker"
#define CONFIRM_EVERY 64
#define UNTIMED_DEPTH 256

static const char usage[] = "usage: bench_redis ping|claim|produce|run [OPTION...]\n"
                            "\n"
                            "  --port N         of a Redis on 127.0.0.1 (needed)\n"
                            "  --jobs N         (default 10000)\n"
                            "  --pipeline N     produce: depth (default 1)\n"
                            "  --dedup MODE     until_executing (default) or until_executed\n"
                            "\n"
                            "Prints what it measured as one line of JSON.\n";

struct options {
    const char *what;
    int port;
    size_t jobs, depth;
    enum jg_dedup dedup;
};

/* What goes out before anything is waited for. */
struct round {
    size_t from_bytes, size_bytes;
    size_t replies;
};

struct plan {
    struct jg_buf commands;
    struct round *rounds;
    size_t count, room;
};

struct redis {
    redisContext *context;
    char run_id[JG_RUN_ID_MAX_CHARS + 1];
    char sha[JG_OP_KINDS][JG_SCRIPT_SHA_CHARS + 1];
    const struct options *options;
};

static void
stop(const char *text)
{
    fprintf(stderr, "bench_redis: %s\n", text);
    exit(2);
}

/* --- what is sent --- */

static struct round *
begin_round(struct plan *plan)
{
    if (plan->count == plan->room) {
        plan->room = plan->room ? plan->room * 2 : 1024;
        plan->rounds = realloc(plan->rounds, plan->room * sizeof *plan->rounds);
        if (!plan->rounds)
            stop("out of memory");
    }
    struct round *round = &plan->rounds[plan->count++];
    *round = (struct round){.from_bytes = plan->commands.size_bytes};
    return round;
}

static void
end_round(struct plan *plan, struct round *round, size_t replies)
{
    round->size_bytes = plan->commands.size_bytes - round->from_bytes;
    round->replies = replies;
}

static void
append_call(struct plan *plan, const struct redis *redis, enum jg_op_kind kind, size_t job)
{
    char key[JG_KEY_CHARS + 1], jid[JG_JID_CHARS + 1], member[JG_MEMBER_MAX_BYTES];
    snprintf(key, sizeof key, "%032zx", job);
    snprintf(jid, sizeof jid, "%s-%020zx", key, job);
    snprintf(member, sizeof member, "%s@0123456789abcdef@jobs/0/%zu", jid, job);
    const struct jg_op op = {
        .kind = kind,
        .class_name = CLASS,
        .key = key,
        .jid = jid,
        .dedup = redis->options->dedup,
        .dedup_ttl_ms = 600000,
        .dedup_provisional_ms = 30000,
        .action = JG_DUP_MARK,
        .member = member,
        .run_ttl_ms = JG_RUN_TTL_MS,
    };
    jg_script_call(&plan->commands, PREFIX, redis->sha[kind], redis->run_id, &op);
}

/* One round of the same call for jobs [from, to). */
static void
plan_calls(struct plan *plan, const struct redis *redis, enum jg_op_kind kind, size_t from, size_t to)
{
    struct round *round = begin_round(plan);
    for (size_t job = from; job < to; job++)
        append_call(plan, redis, kind, job);
    end_round(plan, round, to - from);
}

static void
plan_pings(struct plan *plan, const struct redis *redis)
{
    for (size_t i = 0; i < redis->options->jobs; i++) {
        struct round *round = begin_round(plan);
        jg_resp_command(&plan->commands, "PING", (char *)NULL);
        end_round(plan, round, 1);
    }
}

static void
plan_round_trips(struct plan *plan, const struct redis *redis, bool confirm)
{
    size_t confirmed = 0, jobs = redis->options->jobs;
    for (size_t job = 0; job < jobs; job++) {
        plan_calls(plan, redis, JG_OP_CLAIM, job, job + 1);
        if (confirm && (job + 1 == jobs || job + 1 - confirmed == CONFIRM_EVERY)) {
            plan_calls(plan, redis, JG_OP_CONFIRM, confirmed, job + 1);
            confirmed = job + 1;
        }
    }
}

static void
plan_pipeline(struct plan *plan, const struct redis *redis, size_t depth)
{
    size_t jobs = redis->options->jobs;
    size_t before = 0;
    for (size_t from = 0; from < jobs; from += depth) {
        size_t to = from + depth < jobs ? from + depth : jobs;
        struct round *round = begin_round(plan);
        for (size_t job = from; job < to; job++)
            append_call(plan, redis, JG_OP_CLAIM, job);
        for (size_t job = before; job < from; job++)
            append_call(plan, redis, JG_OP_CONFIRM, job);
        end_round(plan, round, to - before);
        before = from;
    }
    plan_calls(plan, redis, JG_OP_CONFIRM, before, jobs);
}

static void
plan_runs(struct plan *plan, const struct redis *redis)
{
    bool executed = redis->options->dedup == JG_DEDUP_UNTIL_EXECUTED;
    size_t jobs = redis->options->jobs;
    for (size_t job = 0; job < jobs; job++) {
        struct round *round = begin_round(plan);
        if (executed && job)
            append_call(plan, redis, JG_OP_COMPLETE, job - 1);
        append_call(plan, redis, JG_OP_ADMIT, job);
        end_round(plan, round, executed && job ? 2 : 1);
    }
    if (executed)
        plan_calls(plan, redis, JG_OP_COMPLETE, jobs - 1, jobs);
}

/* --- the exchange --- */

static void
send_round(redisContext *context, const struct plan *plan, const struct round *round)
{
    redisReply *reply;
    if (redisAppendFormattedCommand(context, plan->commands.data + round->from_bytes, round->size_bytes) != REDIS_OK)
        stop(context->errstr);
    for (size_t i = 0; i < round->replies; i++) {
        if (redisGetReply(context, (void **)&reply) != REDIS_OK)
            stop(context->errstr);
        if (reply->type == REDIS_REPLY_ERROR)
            stop(reply->str);
        freeReplyObject(reply);
    }
}

static int64_t
carry_out(struct plan *plan, redisContext *context)
{
    if (plan->commands.failed)
        stop("out of memory");
    int64_t began_us = jg_clock_us();
    for (size_t i = 0; i < plan->count; i++)
        send_round(context, plan, &plan->rounds[i]);
    int64_t elapsed_us = jg_clock_us() - began_us;
    jg_buf_clear(&plan->commands);
    free(plan->rounds);
    return elapsed_us;
}

static void
connect_redis(struct redis *redis)
{
    redis->context = redisConnect("127.0.0.1", redis->options->port);
    if (!redis->context || redis->context->err)
        stop(redis->context ? redis->context->errstr : "out of memory");
    redisReply *info = redisCommand(redis->context, "INFO server");
    if (!info || info->type != REDIS_REPLY_STRING || !jg_conn_parse_run_id(info->str, (size_t)info->len, redis->run_id))
        stop("this is no Redis");
    freeReplyObject(info);
    for (size_t i = 0; i < JG_OP_KINDS; i++) {
        struct jg_buf source = JG_BUF_INIT;
        jg_script_source((enum jg_op_kind)i, &source);
        redisReply *reply = redisCommand(redis->context, "SCRIPT LOAD %b", source.data, source.size_bytes);
        if (!reply || reply->type != REDIS_REPLY_STRING || reply->len != JG_SCRIPT_SHA_CHARS)
            stop("a script was not loaded");
        memcpy(redis->sha[i], reply->str, JG_SCRIPT_SHA_CHARS + 1);
        freeReplyObject(reply);
        jg_buf_clear(&source);
    }
}

static int64_t
measure(struct redis *redis)
{
    const struct options *options = redis->options;
    struct plan plan = {.rounds = NULL};
    if (strcmp(options->what, "ping") == 0) {
        plan_pings(&plan, redis);
    } else if (strcmp(options->what, "claim") == 0) {
        plan_round_trips(&plan, redis, false);
    } else if (strcmp(options->what, "produce") == 0 && options->depth == 1) {
        plan_round_trips(&plan, redis, true);
    } else if (strcmp(options->what, "produce") == 0) {
        plan_pipeline(&plan, redis, options->depth);
    } else if (strcmp(options->what, "run") == 0) {
        struct plan before = {.rounds = NULL};
        plan_pipeline(&before, redis, UNTIMED_DEPTH);
        (void)carry_out(&before, redis->context);
        plan_runs(&plan, redis);
    } else {
        stop("what? ping, claim, produce or run");
    }
    return carry_out(&plan, redis->context);
}

static size_t
read_count(const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (*end || number == 0 || number > 10000000)
        stop("a count is a number from 1 to 10000000");
    return number;
}

static void
read_options(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},
        {"jobs", required_argument, NULL, 'j'},
        {"pipeline", required_argument, NULL, 'l'},
        {"dedup", required_argument, NULL, 'd'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'p':
            options->port = (int)read_count(optarg);
            break;
        case 'j':
            options->jobs = read_count(optarg);
            break;
        case 'l':
            options->depth = read_count(optarg);
            break;
        case 'd':
            if (!jg_dedup_parse(optarg, strlen(optarg), &options->dedup))
                stop("this is no mode of dedup");
            break;
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
    if (!options->port || optind != argc)
        stop("--port is needed, and nothing but options");
}

int
main(int argc, char **argv)
{
    struct options options = {.jobs = 10000, .depth = 1, .dedup = JG_DEDUP_UNTIL_EXECUTING};
    if (argc > 1 && strcmp(argv[1], "--help") == 0)
        return fputs(usage, stdout) < 0;
    if (argc < 2) {
        fputs(usage, stderr);
        return 2;
    }
    options.what = argv[1];
    read_options(&options, argc - 1, argv + 1);
    struct redis redis = {.options = &options};
    connect_redis(&redis);
    int64_t elapsed_us = measure(&redis);
    redisFree(redis.context);
    printf("{\"jobs\": %zu, \"elapsed_us\": %lld}\n", options.jobs, (long long)elapsed_us);
    return 0;
}
