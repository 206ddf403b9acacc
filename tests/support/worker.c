/* SPDX-License-Identifier: Apache-2.0 */
/* An ordinary worker for tests of limits: takes one message at a time, works for as long as the payload's field `ms`
 * says, and tells a recorder (tests/support/crew.py) when each job began and ended. SIGTERM ends it in order.
 *
 *     worker RECORDER TOPIC [--settle commit|store] [--load REDIS_SOCKET KEY] [--count CLASS FILE] -X NAME=VALUE ...
 *
 * One line a write, to a Unix stream socket, so what was written before a SIGKILL is not lost:
 *     start PID MONOTONIC_US CLASS JID RESUMED STAMP POSITION TOKEN HELD_UNTIL_US
 *     end PID MONOTONIC_US CLASS JID RESUMED STAMP POSITION TOKEN HELD_UNTIL_US
 * JID is the payload's own; RESUMED is the header jobgate-resumed, or 0; STAMP is the header jobgate-jid, or -;
 * POSITION is PARTITION/OFFSET; TOKEN is the fencing token of its lease, or -1, as the plugin tells it; HELD_UNTIL_US
 * is how long, by what the plugin said so far, the lease is surely the job's own. When the recorder is gone, so is the
 * worker.
 *
 * With --count the jobs of CLASS are not told but counted: FILE, of 8 bytes, holds their number.
 *
 * With --load each job begins one migration: its STAMP is added to the set KEY, so that a job that runs twice counts
 * once, and `KEY:most` is the largest that the set ever was.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TEXT_BYTES 512
#define LINE_BYTES 512
#define LOOK_EVERY_MS 2 /* at the lease of the job that runs */

struct job {
    char class_name[128];
    char jid[128];
    char resumed[16];
    char stamp[80];
    char position[48];
    int ms;
    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t token;
    int64_t held_until_us;
};

struct load {
    redisContext *redis; /* NULL: jobs begin nothing */
    const char *key;
};

/* The plugin's, when there is one. */
static int64_t (*lease_token)(const char *topic, int32_t partition, int64_t offset);
static int64_t (*lease_left_ms)(const char *topic, int32_t partition, int64_t offset);

static const char *counted_class = "";
static _Atomic int64_t *counted;

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
    int size = snprintf(line, sizeof line, "%s %d %lld %s %s %s %s %s %lld %lld\n", what, (int)getpid(),
                        (long long)at_us, job->class_name, job->jid, job->resumed, job->stamp, job->position,
                        (long long)job->token, (long long)job->held_until_us);
    for (int done = 0; done < size;) {
        ssize_t written = send(recorder, line + done, (size_t)(size - done), MSG_NOSIGNAL);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            fail("the recorder", strerror(errno));
        done += (int)written;
    }
}

static void
count_class(const char *class_name, const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *counted, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        fail(path, strerror(errno));
    close(fd);
    counted_class = class_name;
    counted = at;
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

static void
copy_header(const rd_kafka_message_t *message, const char *name, char *out, size_t room)
{
    rd_kafka_headers_t *headers = NULL;
    const void *value = NULL;
    size_t size_bytes = 0;
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        rd_kafka_header_get_last(headers, name, &value, &size_bytes) == RD_KAFKA_RESP_ERR_NO_ERROR && value)
        copy_word(value, size_bytes, out, room);
}

static struct job
job_of(const rd_kafka_message_t *message)
{
    struct job job = {
        .resumed = "0",
        .stamp = "-",
        .topic = rd_kafka_topic_name(message->rkt),
        .partition = message->partition,
        .offset = message->offset,
        .token = -1,
    };
    json_t *json = message->payload ? json_loadb(message->payload, message->len, 0, NULL) : NULL;
    copy_field(json, "class", job.class_name, sizeof job.class_name);
    copy_field(json, "jid", job.jid, sizeof job.jid);
    job.ms = (int)json_integer_value(json_object_get(json, "ms"));
    json_decref(json);
    copy_header(message, "jobgate-resumed", job.resumed, sizeof job.resumed);
    copy_header(message, "jobgate-jid", job.stamp, sizeof job.stamp);
    snprintf(job.position, sizeof job.position, "%d/%lld", (int)message->partition, (long long)message->offset);
    return job;
}

static void
begin_migration(const struct load *load, const struct job *job)
{
    static const char script[] = "redis.call('SADD', KEYS[1], ARGV[1]) "
                                 "local now = redis.call('SCARD', KEYS[1]) "
                                 "if now > tonumber(redis.call('GET', KEYS[1] .. ':most') or 0) then "
                                 "redis.call('SET', KEYS[1] .. ':most', now) end "
                                 "return now";
    if (!load->redis || strcmp(job->stamp, "-") == 0)
        return;
    redisReply *reply = redisCommand(load->redis, "EVAL %s 1 %s %s", script, load->key, job->stamp);
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        fail("the load", reply ? reply->str : load->redis->errstr);
    freeReplyObject(reply);
}

static void
pause_ms(int64_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0)
        ;
}

/* The clock is read before the plugin is asked: this process may be stopped between the two. */
static void
look_at_lease(struct job *job)
{
    int64_t asked_us = now_us();
    int64_t left_ms = lease_left_ms ? lease_left_ms(job->topic, job->partition, job->offset) : -1;
    if (left_ms > 0)
        job->held_until_us = asked_us + left_ms * 1000;
}

static void
work(struct job *job)
{
    int64_t until_us = now_us() + job->ms * INT64_C(1000);
    int64_t left_ms = job->ms;
    while (left_ms > 0) {
        pause_ms(job->token < 0 || left_ms < LOOK_EVERY_MS ? left_ms : LOOK_EVERY_MS);
        look_at_lease(job);
        left_ms = (until_us - now_us() + 999) / 1000;
    }
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
run(rd_kafka_t *rk, const char *how, const struct load *load)
{
    while (!ending) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);
        if (!message)
            continue;
        if (!message->err) {
            struct job job = job_of(message);
            if (counted && strcmp(job.class_name, counted_class) == 0) {
                work(&job);
                ++*counted;
                settle(rk, message, how);
                rd_kafka_message_destroy(message);
                continue;
            }
            if (lease_token)
                job.token = lease_token(job.topic, job.partition, job.offset);
            look_at_lease(&job);
            tell("start", &job, now_us());
            begin_migration(load, &job);
            work(&job);
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

/* librdkafka has just loaded it, and keeps it. */
static void
find_plugin(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (!library)
        fail(path, dlerror());
    *(void **)&lease_token = dlsym(library, "jobgate_lease_token");
    *(void **)&lease_left_ms = dlsym(library, "jobgate_lease_left_ms");
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
    if (strcmp(pair, "plugin.library.paths") == 0)
        find_plugin(value);
}

static struct load
load_of(const char *socket_path, const char *key)
{
    struct load load = {.redis = redisConnectUnix(socket_path), .key = key};
    if (!load.redis || load.redis->err)
        fail(socket_path, load.redis ? load.redis->errstr : "out of memory");
    return load;
}

int
main(int count, char **words)
{
    const char *how = "";
    struct load load = {.redis = NULL};
    if (count < 3)
        fail("usage", "worker RECORDER TOPIC [--settle commit|store] [--load REDIS_SOCKET KEY] [--count CLASS FILE] "
                      "-X NAME=VALUE ...");
    signal(SIGTERM, on_sigterm);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (int i = 3; i + 1 < count; i += 2) {
        if (strcmp(words[i], "--settle") == 0)
            how = words[i + 1];
        else if (strcmp(words[i], "--load") == 0 && i + 2 < count) {
            load = load_of(words[i + 1], words[i + 2]);
            i++;
        } else if (strcmp(words[i], "--count") == 0 && i + 2 < count) {
            count_class(words[i + 1], words[i + 2]);
            i++;
        } else if (strcmp(words[i], "-X") == 0)
            set_property(conf, words[i + 1]);
        else
            fail(words[i], "unknown");
    }
    connect_recorder(words[1]);
    rd_kafka_t *rk = consumer_new(conf, words[2]);
    run(rk, how, &load);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    if (load.redis)
        redisFree(load.redis);
    close(recorder);
    return 0;
}
