/* SPDX-License-Identifier: Apache-2.0 */
/* An ordinary worker for tests of limits: takes one message at a time, works for as long as the payload's field `ms`
 * says, and tells a recorder (tests/support/crew.py) when each job began and ended. SIGTERM ends it in order.
 *
 *     worker RECORDER TOPIC [--settle commit|store] -X NAME=VALUE ...
 *
 * One line a write, to a Unix stream socket, so what was written before a SIGKILL is not lost:
 *     start PID MONOTONIC_US CLASS JID RESUMED
 *     end PID MONOTONIC_US CLASS JID RESUMED
 * JID is the payload's own; RESUMED is the header jobgate-resumed, or 0. When the recorder is gone, so is the worker.
 */
#include <errno.h>
#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TEXT_BYTES 512
#define LINE_BYTES 512

struct job {
    char class_name[128];
    char jid[128];
    char resumed[16];
    int ms;
};

static volatile sig_atomic_t ending;
static int recorder = -1;

static void
on_sigterm(int number)
{
    (void)number;
    ending = 1;
}

static int64_t
now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
fail(const char *what, const char *why)
{
    fprintf(stderr, "worker: %s: %s\n", what, why);
    exit(1);
}

static void
connect_recorder(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s", path) >= (int)sizeof address.sun_path)
        fail(path, "too long");
    recorder = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (recorder < 0 || connect(recorder, (struct sockaddr *)&address, sizeof address) != 0)
        fail(path, strerror(errno));
}

static void
tell(const char *what, const struct job *job, int64_t at_us)
{
    char line[LINE_BYTES];
    int size = snprintf(line, sizeof line, "%s %d %lld %s %s %s\n", what, (int)getpid(), (long long)at_us,
                        job->class_name, job->jid, job->resumed);
    for (int done = 0; done < size;) {
        ssize_t written = send(recorder, line + done, (size_t)(size - done), MSG_NOSIGNAL);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            fail("the recorder", strerror(errno));
        done += (int)written;
    }
}

/* One word: spaces would break the line. */
static void
copy_word(const char *text, size_t size_bytes, char *out, size_t room)
{
    size_t size = size_bytes < room - 1 ? size_bytes : room - 1;
    memcpy(out, text, size);
    out[size] = '\0';
    for (char *at = out; *at; at++) {
        if (*at == ' ' || *at == '\n')
            *at = '_';
    }
    if (size == 0)
        snprintf(out, room, "-");
}

static void
copy_field(const json_t *json, const char *name, char *out, size_t room)
{
    const json_t *value = json_object_get(json, name);
    copy_word(value ? json_string_value(value) : "", value ? json_string_length(value) : 0, out, room);
}

static struct job
job_of(const rd_kafka_message_t *message)
{
    struct job job = {.resumed = "0"};
    json_t *json = message->payload ? json_loadb(message->payload, message->len, 0, NULL) : NULL;
    copy_field(json, "class", job.class_name, sizeof job.class_name);
    copy_field(json, "jid", job.jid, sizeof job.jid);
    job.ms = (int)json_integer_value(json_object_get(json, "ms"));
    json_decref(json);
    rd_kafka_headers_t *headers = NULL;
    const void *value = NULL;
    size_t size_bytes = 0;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        rd_kafka_header_get_last(headers, "jobgate-resumed", &value, &size_bytes) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        value)
        copy_word(value, size_bytes, job.resumed, sizeof job.resumed);
    return job;
}

static void
work(int ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0)
        ;
}

static void
settle(rd_kafka_t *rk, rd_kafka_message_t *message, const char *how)
{
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (strcmp(how, "commit") == 0)
        err = rd_kafka_commit_message(rk, message, 0);
    else if (strcmp(how, "store") == 0)
        err = rd_kafka_offset_store(message->rkt, message->partition, message->offset);
    if (err)
        fprintf(stderr, "worker: %s: %s\n", how, rd_kafka_err2name(err));
}

static void
run(rd_kafka_t *rk, const char *how)
{
    while (!ending) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);
        if (!message)
            continue;
        if (!message->err) {
            struct job job = job_of(message);
            tell("start", &job, now_us());
            work(job.ms);
            /* Before its slot may be another's. */
            tell("end", &job, now_us());
            settle(rk, message, how);
        } else if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            fprintf(stderr, "worker: %s: %s\n", rd_kafka_err2name(message->err), rd_kafka_message_errstr(message));
        }
        rd_kafka_message_destroy(message);
    }
}

static rd_kafka_t *
consumer_new(rd_kafka_conf_t *conf, const char *topic)
{
    char text[TEXT_BYTES];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!rk)
        fail("no consumer", text);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t err = rd_kafka_subscribe(rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (err)
        fail(topic, rd_kafka_err2str(err));
    return rk;
}

static void
set_property(rd_kafka_conf_t *conf, char *pair)
{
    char text[TEXT_BYTES];
    char *value = strchr(pair, '=');
    if (!value)
        fail(pair, "not NAME=VALUE");
    *value++ = '\0';
    if (rd_kafka_conf_set(conf, pair, value, text, sizeof text) != RD_KAFKA_CONF_OK)
        fail(pair, text);
}

int
main(int count, char **words)
{
    const char *how = "";
    if (count < 3)
        fail("usage", "worker RECORDER TOPIC [--settle commit|store] -X NAME=VALUE ...");
    signal(SIGTERM, on_sigterm);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (int i = 3; i + 1 < count; i += 2) {
        if (strcmp(words[i], "--settle") == 0)
            how = words[i + 1];
        else if (strcmp(words[i], "-X") == 0)
            set_property(conf, words[i + 1]);
        else
            fail(words[i], "unknown");
    }
    connect_recorder(words[1]);
    rd_kafka_t *rk = consumer_new(conf, words[2]);
    run(rk, how);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    close(recorder);
    return 0;
}
