/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/process.h"

#include <pthread.h>
#include <stdatomic.h>

static _Atomic unsigned generation;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
forked(void)
{
    atomic_fetch_add(&generation, 1);
}

static void
watch(void)
{
    pthread_atfork(NULL, NULL, forked);
}

unsigned
jg_process_generation(void)
{
    pthread_once(&once, watch);
    return atomic_load(&generation);
}
