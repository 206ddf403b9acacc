/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks. The core (gate, policy, inflight, offsets) never reads them: it is handed the time. */
#ifndef JG_BASE_CLOCK_H
#define JG_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Monotonic time, for deadlines and durations. */
int64_t jg_clock_ms(void);
int64_t jg_clock_us(void);

/* Milliseconds since the Unix epoch, for people and for Kafka timestamps; never for deadlines. */
int64_t jg_wall_ms(void);

/* A time of these, as the system's calls want it. */
struct timespec jg_clock_timespec(int64_t ms);

/* Sleep; not at all for 0 and less. */
void jg_clock_pause_ms(int64_t ms);

#endif
