/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench_client.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static const char usage[] = "usage: bench_client produce|consume [OPTION...]\n"
                            "\n"
                            "  --topic NAME      where to produce to, or consume from\n"
                            "  --jobs N          produce: after a warm-up of 64 jobs; consume: in all\n"
                            "  --class NAME      of the jobs (default BenchWorker)\n"
                            "  --distinct N      so many different arguments, in turns (default: all different)\n"
                            "  --threads N       that produce (default 1)\n"
                            "  -X NAME=VALUE     a property of the client, in order; may be given many times\n"
                            "\n"
                            "Prints what it measured as one line of JSON.\n";

int64_t
bench_clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
bench_cpu_us(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

static void
stop(const char *text)
{
    fprintf(stderr, "bench_client: %s\n", text);
    exit(2);
}

static size_t
read_count(const char *text)
{
    char *end;
    unsigned long long number = strtoull(text, &end, 10);
    if (*end || number == 0 || number > 1000000000)
        stop("a count is a number from 1 to 1000000000");
    return (size_t)number;
}

/* A plugin sees only what is set after plugin.library.paths. */
static void
set_property(rd_kafka_conf_t *conf, char *pair)
{
    char error[BENCH_TEXT_BYTES];
    char *value = strchr(pair, '=');
    if (!value)
        stop("a property is NAME=VALUE");
    *value++ = '\0';
    if (rd_kafka_conf_set(conf, pair, value, error, sizeof error) != RD_KAFKA_CONF_OK)
        stop(error);
}

static void
read_options(struct bench *bench, int argc, char **argv)
{
    static const struct option options[] = {
        {"topic", required_argument, NULL, 't'},   {"jobs", required_argument, NULL, 'j'},
        {"class", required_argument, NULL, 'c'},   {"distinct", required_argument, NULL, 'd'},
        {"threads", required_argument, NULL, 'n'}, {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "X:", options, NULL)) != -1) {
        switch (option) {
        case 't':
            bench->topic = optarg;
            break;
        case 'j':
            bench->jobs = read_count(optarg);
            break;
        case 'c':
            bench->class_name = optarg;
            break;
        case 'd':
            bench->distinct = read_count(optarg);
            break;
        case 'n':
            bench->threads = read_count(optarg);
            break;
        case 'X':
            set_property(bench->conf, optarg);
            break;
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
    if (!bench->topic || !bench->jobs || optind != argc)
        stop("--topic and --jobs are needed, and nothing but options");
    if (!bench->distinct)
        bench->distinct = bench->jobs;
}

static void
print(const struct bench_result *result)
{
    printf("{\"librdkafka\": \"%s\", \"jobs\": %zu, \"elapsed_us\": %lld, \"cpu_us\": %lld, \"close_us\": %lld, "
           "\"failed\": %zu, \"queue_full\": %zu, \"skipped\": %zu}\n",
           rd_kafka_version_str(), result->jobs, (long long)(result->ended_us - result->began_us),
           (long long)result->cpu_us, (long long)result->close_us, result->failed, result->queue_full, result->skipped);
}

int
main(int argc, char **argv)
{
    struct bench bench = {.class_name = "BenchWorker", .threads = 1, .timeout_ms = 30000};
    struct bench_result result = {.jobs = 0};
    char error[BENCH_TEXT_BYTES];
    bool produce = argc > 1 && strcmp(argv[1], "produce") == 0;
    if (argc > 1 && strcmp(argv[1], "--help") == 0)
        return fputs(usage, stdout) < 0;
    if (!produce && (argc < 2 || strcmp(argv[1], "consume") != 0)) {
        fputs(usage, stderr);
        return 2;
    }
    bench.conf = rd_kafka_conf_new();
    read_options(&bench, argc - 1, argv + 1);
    if (!(produce ? bench_produce : bench_consume)(&bench, &result, error, sizeof error))
        stop(error);
    print(&result);
    return 0;
}
