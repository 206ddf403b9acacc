/* SPDX-License-Identifier: Apache-2.0 */
/* The circuit breaker: keeps a dead store from costing a timeout per message. Pure: time and chance are arguments. */
#ifndef JG_CONNECTORS_REDIS_BREAKER_H
#define JG_CONNECTORS_REDIS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define JG_BREAKER_FIRST_MS 50
#define JG_BREAKER_LONGEST_MS 2000

/* Zero-initialised: closed. */
struct jg_breaker {
    bool open;
    bool slow;           /* the last failure cost its time out: trying is dear */
    unsigned failures;   /* in a row; a connection alone ends no row, an operation carried out does */
    int64_t next_try_ms; /* while open */
};

/* The store failed: open, and wait for the pause, which doubles with each failure in a row and varies by a quarter. */
void jg_breaker_failed(struct jg_breaker *breaker, bool slow, int64_t now_ms, uint64_t chance);

/* The store lets us in again. Whether it works, the next operation tells. */
void jg_breaker_answered(struct jg_breaker *breaker);

/* The store carried out an operation. */
void jg_breaker_worked(struct jg_breaker *breaker);

/* May somebody try now? While closed, always. */
bool jg_breaker_may_try(const struct jg_breaker *breaker, int64_t now_ms);

#endif
