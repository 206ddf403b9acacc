/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/app.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define WORKERS_MAX 32

struct command {
    struct command *next;
    json_t *json;
};

struct worker {
    char name[APP_NAME_BYTES];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct command *first, *last;
    bool ended; /* no more will come */
};

struct word {
    const char *name;
    json_t *(*run)(struct app_handle *handle, const json_t *cmd);
    bool alone; /* it is about no handle */
};

static const struct word words[] = {
    {.name = "create", .run = app_create, .alone = true},
    {.name = "complete", .run = app_complete, .alone = true},
    {.name = "counter", .run = app_counter, .alone = true},
    {.name = "lease", .run = app_lease, .alone = true},
    {.name = "close", .run = app_close},
    {.name = "destroy", .run = app_destroy},
    {.name = "stop", .run = app_stop},
    {.name = "finish", .run = app_finish},
    {.name = "produce", .run = app_produce},
    {.name = "flush", .run = app_flush},
    {.name = "purge", .run = app_purge},
    {.name = "transaction", .run = app_transaction},
    {.name = "subscribe", .run = app_subscribe},
    {.name = "assign", .run = app_assign},
    {.name = "poll", .run = app_poll},
    {.name = "batch", .run = app_batch},
    {.name = "run", .run = app_run},
    {.name = "commit", .run = app_commit},
    {.name = "store_offsets", .run = app_store_offsets},
    {.name = "committed", .run = app_committed},
    {.name = "assignment", .run = app_assignment},
    {.name = "seek", .run = app_seek},
    {.name = "pause", .run = app_pause},
};

static pthread_mutex_t output_lock = PTHREAD_MUTEX_INITIALIZER;
static struct worker workers[WORKERS_MAX];
static size_t worker_count;

int64_t
app_clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void
app_emit(const char *kind, json_t *event)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    json_object_set_new(event, "event", json_string(kind));
    json_object_set_new(event, "mono_us", json_integer(app_clock_us()));
    json_object_set_new(event, "wall_ms", json_integer((json_int_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000));
    char *line = json_dumps(event, JSON_COMPACT);
    json_decref(event);
    if (!line)
        abort();
    pthread_mutex_lock(&output_lock);
    puts(line);
    fflush(stdout);
    pthread_mutex_unlock(&output_lock);
    free(line);
}

json_t *
app_json_bytes(const void *data, size_t size_bytes)
{
    if (!data)
        return json_null();
    json_t *text = json_stringn(data, size_bytes);
    if (text)
        return text;
    char *hex = calloc(size_bytes + 1, 2);
    for (size_t i = 0; i < size_bytes; i++)
        sprintf(hex + 2 * i, "%02x", ((const unsigned char *)data)[i]);
    json_t *out = json_pack("{s:s}", "hex", hex);
    free(hex);
    return out;
}

bool
app_bytes(const json_t *json, void **data, size_t *size_bytes)
{
    const char *hex = json_string_value(json_object_get(json, "hex"));
    *data = NULL;
    *size_bytes = 0;
    if (!json || json_is_null(json))
        return false;
    *size_bytes = hex ? strlen(hex) / 2 : json_string_length(json);
    unsigned char *bytes = calloc(1, *size_bytes + 1);
    if (!hex && *size_bytes)
        memcpy(bytes, json_string_value(json), *size_bytes);
    for (size_t i = 0; hex && i < *size_bytes; i++) {
        const char digits[] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    *data = bytes;
    return true;
}

json_t *
app_reply_err(rd_kafka_resp_err_t err, const char *text)
{
    return json_pack("{s:i, s:s, s:s}", "err", (int)err, "name", rd_kafka_err2name(err), "text",
                     text ? text : rd_kafka_err2str(err));
}

static json_t *
failure(const char *text)
{
    return json_pack("{s:s}", "failure", text);
}

/* On the thread that is to do it. Takes `cmd`. */
static void
execute(json_t *cmd)
{
    const char *name = json_string_value(json_object_get(cmd, "cmd"));
    const char *handle_name = json_string_value(json_object_get(cmd, "handle"));
    struct app_handle *handle = app_handle_find(handle_name ? handle_name : "");
    int64_t began_us = app_clock_us();
    json_t *reply = NULL;
    for (size_t i = 0; name && !reply && i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i].name, name) == 0)
            reply = handle || words[i].alone ? words[i].run(handle, cmd) : failure("no such handle");
    }
    if (!reply)
        reply = failure("no such command");
    json_object_set(reply, "id", json_object_get(cmd, "id"));
    json_object_set_new(reply, "ms", json_real((double)(app_clock_us() - began_us) / 1000));
    app_emit("reply", reply);
    json_decref(cmd);
}

static void *
worker_main(void *opaque)
{
    struct worker *worker = opaque;
    for (;;) {
        pthread_mutex_lock(&worker->lock);
        while (!worker->first && !worker->ended)
            pthread_cond_wait(&worker->more, &worker->lock);
        struct command *command = worker->first;
        if (command)
            worker->first = command->next;
        pthread_mutex_unlock(&worker->lock);
        if (!command)
            return NULL;
        execute(command->json);
        free(command);
    }
}

static struct worker *
worker_find(const char *name)
{
    for (size_t i = 0; i < worker_count; i++) {
        if (strcmp(workers[i].name, name) == 0)
            return &workers[i];
    }
    if (worker_count == WORKERS_MAX)
        abort();
    struct worker *worker = &workers[worker_count++];
    snprintf(worker->name, sizeof worker->name, "%s", name);
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->more, NULL);
    if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0)
        abort();
    return worker;
}

/* Takes `json`; NULL: nothing more will come. */
static void
worker_tell(struct worker *worker, json_t *json)
{
    struct command *command = json ? calloc(1, sizeof *command) : NULL;
    pthread_mutex_lock(&worker->lock);
    if (command) {
        command->json = json;
        if (worker->first)
            worker->last->next = command;
        else
            worker->first = command;
        worker->last = command;
    } else {
        worker->ended = true;
    }
    pthread_cond_signal(&worker->more);
    pthread_mutex_unlock(&worker->lock);
}

/* The ends that programs come to, but for being killed. Does not return, unless it is told to return. */
static void
leave(const char *how)
{
    if (strcmp(how, "exit") == 0)
        exit(0);
    if (strcmp(how, "_exit") == 0)
        _exit(0);
    if (strcmp(how, "abort") == 0)
        abort();
}

static void
read_commands(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    const char *how = NULL;
    while (!how && (size = getline(&line, &room, stdin)) > 0) {
        json_error_t error;
        json_t *cmd = json_loadb(line, (size_t)size, 0, &error);
        if (!cmd) {
            app_emit("reply", failure(error.text));
            continue;
        }
        const char *on = json_string_value(json_object_get(cmd, "on"));
        how = json_string_value(json_object_get(cmd, "exit"));
        if (how)
            leave(how);
        else if (on)
            worker_tell(worker_find(on), cmd);
        else
            execute(cmd);
        if (how)
            json_decref(cmd);
    }
    free(line);
}

int
main(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    read_commands();
    app_handles_stop();
    for (size_t i = 0; i < worker_count; i++)
        worker_tell(&workers[i], NULL);
    for (size_t i = 0; i < worker_count; i++) {
        pthread_join(workers[i].thread, NULL);
        pthread_cond_destroy(&workers[i].more);
        pthread_mutex_destroy(&workers[i].lock);
    }
    app_handles_end();
    return 0;
}
