/* SPDX-License-Identifier: Apache-2.0 */
/* What the program is told: log lines and events.
 *
 * Upholds: neither can flood the program: each kind is limited for each second, and what was left
 * out is counted. No key or value ever appears in a line. */
#ifndef KLANE_OBSERVE_OBSERVE_H
#define KLANE_OBSERVE_OBSERVE_H

#include <klane/klane.h>

#include <stdatomic.h>

#define OBSERVE_LINES_PER_SECOND 50
#define OBSERVE_EVENTS_PER_SECOND 1000

/* One kind of event; control's alone. */
struct observe_limit {
    int64_t second;
    uint32_t count;
    uint64_t suppressed;
};

struct observe {
    klane_log_fn log; /* fixed */
    void *log_context;
    klane_event_fn event;
    void *event_context;
    const char *name;
    /* Lines of this second, by whichever thread: the second in the high half. */
    _Atomic uint64_t lines;
    _Atomic uint64_t lines_suppressed;
};

void observe_init(struct observe *observe, const struct klane_options *options, const char *name);

/* Any thread. A line; without a log callback warnings and errors go to the standard error. */
void observe_log(struct observe *observe, enum klane_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Control. Tells the program, unless this kind has had its share of this second. */
void observe_event(struct observe *observe, struct observe_limit *limit, int64_t now_ms,
                   struct klane_event *event);

#endif
