/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads on one store: each gets its own answers, of equal claims exactly one is the original, and they share
 * round trips. Forks in between leave parent and child working.
 *
 * Usage: store_threads URL [SECONDS] */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "store_support.h"

/* AddressSanitizer's allocator does not get over a fork of a process with threads: the child may find it locked. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FORKS false
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define FORKS false
#endif
#ifndef FORKS
#define FORKS true
#endif

#define THREADS 8
#define ROUNDS 64 /* claims of one key by all threads */

static const struct jg_log quiet = {.level = JG_LOG_ERROR};
static struct jg_store *store;
static atomic_uint originals[ROUNDS];
static atomic_ullong operations;
static atomic_bool over;
static char class_name[64];

static struct jg_op
operation(enum jg_op_kind kind, const char *key, const char *jid)
{
    return (struct jg_op){.kind = kind,
                          .class_name = class_name,
                          .key = key,
                          .jid = jid,
                          .member = "member",
                          .dedup = JG_DEDUP_UNTIL_EXECUTING,
                          .dedup_ttl_ms = 600000,
                          .dedup_provisional_ms = 600000,
                          .run_ttl_ms = 30000};
}

/* One job from its claim to its start; nobody else knows its key. */
static void
live_one_job(unsigned thread, unsigned number)
{
    char key[JG_KEY_CHARS + 1], jid[JG_JID_CHARS + 1], other[JG_JID_CHARS + 1];
    snprintf(key, sizeof key, "%016x%016x", thread + 1, number);
    snprintf(jid, sizeof jid, "%s-%020x", key, 1u);
    snprintf(other, sizeof other, "%s-%020x", key, 2u);
    struct jg_op claim = operation(JG_OP_CLAIM, key, jid);
    must(jg_store_exec(store, &claim, 1) == JG_OK && claim.claimed == JG_ORIGINAL);
    struct jg_op pair[2] = {operation(JG_OP_CONFIRM, key, jid), operation(JG_OP_CLAIM, key, other)};
    must(jg_store_exec(store, pair, 2) == JG_OK && pair[0].changed);
    must(pair[1].claimed == JG_DUPLICATE && strcmp(pair[1].original, jid) == 0);
    struct jg_op admit = operation(JG_OP_ADMIT, key, jid);
    must(jg_store_exec(store, &admit, 1) == JG_OK && admit.verdict == JG_RUN);
    atomic_fetch_add(&operations, 4);
}

static void
race_for_keys(unsigned thread)
{
    char key[JG_KEY_CHARS + 1], jid[JG_JID_CHARS + 1];
    for (unsigned round = 0; round < ROUNDS; round++) {
        snprintf(key, sizeof key, "%032x", round);
        snprintf(jid, sizeof jid, "%s-%020x", key, thread);
        struct jg_op claim = operation(JG_OP_CLAIM, key, jid);
        must(jg_store_exec(store, &claim, 1) == JG_OK);
        if (claim.claimed == JG_ORIGINAL)
            atomic_fetch_add(&originals[round], 1);
    }
}

static void *
work(void *argument)
{
    unsigned thread = (unsigned)(uintptr_t)argument;
    race_for_keys(thread);
    for (unsigned number = 0; !atomic_load(&over); number++)
        live_one_job(thread, number);
    return NULL;
}

/* In a child of a busy process: its own connection, its own answers. */
static void
fork_once(unsigned number)
{
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        live_one_job(THREADS + 1, number);
        jg_store_close(store);
        _exit(0);
    }
    int status = 0;
    must(waitpid(child, &status, 0) == child && status == 0);
}

int
main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    struct jg_error error;
    must(argc > 1);
    struct jg_store_options options = {.url = argv[1], .name_space = "threads", .timeout_ms = 10000, .log = &quiet};
    must(jg_store_open(&options, &store, &error) == JG_OK);
    snprintf(class_name, sizeof class_name, "Class %" PRId64, jg_clock_us());
    int64_t end_ms = jg_clock_ms() + (argc > 2 ? atoi(argv[2]) : 1) * 1000;
    int64_t began_us = jg_clock_us();
    for (uintptr_t thread = 0; thread < THREADS; thread++)
        must(pthread_create(&threads[thread], NULL, work, (void *)thread) == 0);
    for (unsigned number = 0; jg_clock_ms() < end_ms; number++) {
        if (FORKS && strncmp(argv[1], "memory:", 7) != 0)
            fork_once(number);
        else
            usleep(1000);
    }
    atomic_store(&over, true);
    for (unsigned thread = 0; thread < THREADS; thread++)
        must(pthread_join(threads[thread], NULL) == 0);
    for (unsigned round = 0; round < ROUNDS; round++)
        must(atomic_load(&originals[round]) == 1);
    double seconds = (double)(jg_clock_us() - began_us) / 1e6;
    printf("%llu operations, %.0f a second\n", (unsigned long long)operations, (double)operations / seconds);
    jg_store_close(store);
    return 0;
}
