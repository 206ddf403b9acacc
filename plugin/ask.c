/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the store on an application's thread: every wait has a bound, every failure is counted and told. */
#include "base/clock.h"
#include "plugin/counters.h"
#include "plugin/gate.h"

#define WAIT_MS 100 /* at a time: it may be stopped meanwhile */
#define RETRY_MS 10 /* a store that answers with errors at once is not asked in a spin */

enum jg_err
jg_ask(struct jg_gate *gate, struct jg_op *ops, size_t count)
{
    enum jg_err err = jg_store_exec(gate->store, ops, count);
    if (err != JG_OK)
        jg_count(JG_COUNT_STORE_FAILURE, (int64_t)count);
    return err;
}

enum jg_err
jg_ask_patiently(struct jg_gate *gate, struct jg_op *ops, size_t count)
{
    int64_t deadline_ms = jg_clock_ms() + gate->settings->store_wait_ms;
    for (;;) {
        enum jg_err err = jg_ask(gate, ops, count);
        int64_t left_ms = deadline_ms - jg_clock_ms();
        if (err == JG_OK || left_ms <= 0 || atomic_load(&gate->stopping))
            return err;
        jg_clock_pause_ms(RETRY_MS);
        while (left_ms > 0 && !atomic_load(&gate->stopping) &&
               !jg_store_wait(gate->store, left_ms < WAIT_MS ? left_ms : WAIT_MS))
            left_ms = deadline_ms - jg_clock_ms();
        if (left_ms <= 0)
            return err;
    }
}
