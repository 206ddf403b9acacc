/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

static int64_t
read_us(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
jg_clock_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t
jg_clock_ms(void)
{
    return jg_clock_us() / 1000;
}

int64_t
jg_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

struct timespec
jg_clock_timespec(int64_t ms)
{
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L};
}

void
jg_clock_pause_ms(int64_t ms)
{
    struct timespec pause = jg_clock_timespec(ms);
    if (ms > 0)
        nanosleep(&pause, NULL);
}
