/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/observe.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define LINE_MAX_BYTES 512

void observe_init(struct observe *observe, const struct klane_options *options, const char *name)
{
    observe->log = options->log;
    observe->log_context = options->log_context;
    observe->event = options->event;
    observe->event_context = options->event_context;
    observe->name = name;
    atomic_init(&observe->lines, 0);
    atomic_init(&observe->lines_suppressed, 0);
}

/* Whether a line may be written now. */
static bool line_allowed(struct observe *observe)
{
    struct timespec now;
    uint64_t second, lines, next;

    clock_gettime(CLOCK_MONOTONIC, &now);
    second = (uint64_t)now.tv_sec << 32;
    /* Relaxed throughout: counts that order nothing. */
    lines = atomic_load_explicit(&observe->lines, memory_order_relaxed);
    do {
        next = (lines & ~(uint64_t)UINT32_MAX) == second ? lines + 1 : second + 1;
        if ((uint32_t)next > OBSERVE_LINES_PER_SECOND) {
            atomic_fetch_add_explicit(&observe->lines_suppressed, 1, memory_order_relaxed);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&observe->lines, &lines, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* One line, whatever a broker or a file had in its text. */
static void make_plain(char *text)
{
    for (char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = '?';
}

static void write_line(struct observe *observe, enum klane_log_level level, const char *line)
{
    if (observe->log != NULL)
        observe->log(level, line, observe->log_context);
    else if (level <= KLANE_LOG_WARNING)
        fprintf(stderr, "%s: %s\n", observe->name, line);
}

void observe_log(struct observe *observe, enum klane_log_level level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    uint64_t suppressed;
    va_list arguments;

    if (!line_allowed(observe))
        return;
    /* Relaxed: see line_allowed(). */
    suppressed = atomic_exchange_explicit(&observe->lines_suppressed, 0, memory_order_relaxed);
    if (suppressed > 0) {
        snprintf(line, sizeof(line), "%" PRIu64 " lines left out", suppressed);
        write_line(observe, KLANE_LOG_WARNING, line);
    }
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    make_plain(line);
    write_line(observe, level, line);
}

void observe_event(struct observe *observe, struct observe_limit *limit, int64_t now_ms,
                   struct klane_event *event)
{
    const char *message = event->message;
    char text[LINE_MAX_BYTES];

    if (observe->event == NULL)
        return;
    if (limit->second != now_ms / 1000) {
        limit->second = now_ms / 1000;
        limit->count = 0;
    }
    if (limit->count == OBSERVE_EVENTS_PER_SECOND) {
        limit->suppressed++;
        return;
    }
    limit->count++;
    event->suppressed = limit->suppressed;
    limit->suppressed = 0;
    if (message != NULL) {
        snprintf(text, sizeof(text), "%s", message);
        make_plain(text);
        event->message = text;
    }
    observe->event(event, observe->event_context);
    event->message = message;
}
