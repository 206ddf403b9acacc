/* SPDX-License-Identifier: Apache-2.0 */
/* A program as people write them on librdkafka. It knows nothing of jobgate but the properties that it is given.
 *
 *   c_client produce TOPIC NAME=VALUE...   one message a line of standard input, until it ends
 *   c_client consume TOPIC NAME=VALUE...   until SIGTERM; CLIENT_WORK_MS: how long each job takes
 *
 * CLIENT_CONF_DUP: make the handle from a copy of the configuration, as bindings to other languages do.
 * It prints, one line each: delivered, failed, refused, job, done, error, closed. */
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile sig_atomic_t over;

static void
on_signal(int number)
{
    (void)number;
    over = 1;
}

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (message->err)
        printf("failed %s\n", rd_kafka_err2name(message->err));
    else
        printf("delivered %d %lld\n", (int)message->partition, (long long)message->offset);
}

static rd_kafka_conf_t *
read_conf(char **properties)
{
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (; *properties; properties++) {
        char *value = strchr(*properties, '=');
        if (!value) {
            fprintf(stderr, "%s: no value\n", *properties);
            exit(2);
        }
        *value++ = '\0';
        if (rd_kafka_conf_set(conf, *properties, value, error, sizeof error) != RD_KAFKA_CONF_OK) {
            fprintf(stderr, "configuration: %s\n", error);
            exit(2);
        }
    }
    return conf;
}

static rd_kafka_t *
new_handle(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char error[512];
    rd_kafka_conf_t *original = NULL;
    if (getenv("CLIENT_CONF_DUP")) {
        original = conf;
        conf = rd_kafka_conf_dup(original);
    }
    rd_kafka_t *rk = rd_kafka_new(type, conf, error, sizeof error);
    if (!rk) {
        fprintf(stderr, "handle: %s\n", error);
        exit(2);
    }
    if (original)
        rd_kafka_conf_destroy(original);
    return rk;
}

static void
produce(const char *topic, rd_kafka_conf_t *conf)
{
    char *line = NULL;
    size_t room = 0;
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = new_handle(RD_KAFKA_PRODUCER, conf);
    while (getline(&line, &room, stdin) > 0) {
        size_t length = strcspn(line, "\n");
        rd_kafka_resp_err_t err = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_VALUE(line, length),
                                                    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (err)
            printf("refused %s\n", rd_kafka_err2name(err));
        rd_kafka_flush(rk, 30000);
    }
    free(line);
    rd_kafka_destroy(rk);
}

static void
work(const rd_kafka_message_t *message)
{
    const char *work_ms = getenv("CLIENT_WORK_MS");
    long ms = work_ms ? strtol(work_ms, NULL, 10) : 0;
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    printf("job %d %lld %.*s\n", (int)message->partition, (long long)message->offset, (int)message->len,
           (const char *)message->payload);
    while (nanosleep(&left, &left) != 0)
        ;
    printf("done %d %lld\n", (int)message->partition, (long long)message->offset);
}

static void
consume(const char *topic, rd_kafka_conf_t *conf)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    rd_kafka_t *rk = new_handle(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    while (!over) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);
        if (!message)
            continue;
        if (message->err)
            printf("error %s %d %lld %s\n", rd_kafka_err2name(message->err), (int)message->partition,
                   (long long)message->offset, rd_kafka_message_errstr(message));
        else
            work(message);
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

int
main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 3) {
        fprintf(stderr, "usage: %s produce|consume TOPIC NAME=VALUE...\n", argv[0]);
        return 2;
    }
    if (strcmp(argv[1], "produce") == 0)
        produce(argv[2], read_conf(argv + 3));
    else
        consume(argv[2], read_conf(argv + 3));
    puts("closed");
    return 0;
}
