/* SPDX-License-Identifier: Apache-2.0 */
/* The clock that decides: it never jumps. And the wall's, for times that others are told. */
#ifndef KLANE_BASE_CLOCK_H
#define KLANE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Milliseconds since 1970. */
static inline int64_t clock_wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A time delay_ms after now_ms; a delay beyond the end of time is for ever, INT64_MAX. */
static inline int64_t clock_after(int64_t now_ms, int64_t delay_ms)
{
    return delay_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + delay_ms;
}

#endif
