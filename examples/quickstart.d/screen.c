/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Plain stdio. The bar is the last line of a terminal and is wiped before anything else is said.
 */
#include "screen.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define BAR_CELLS 40
#define BAR_INTERVAL_MS 50

static bool bar_stands;

uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

const char *grouped(uint64_t number, char out[GROUPED_SIZE])
{
    char digits[GROUPED_SIZE];
    int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    int used = 0;

    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

void screen_clear(void)
{
    if (bar_stands)
        fputs("\r\033[K", stdout);
    bar_stands = false;
    fflush(stdout);
}

void screen_line(const char *name, const char *format, ...)
{
    va_list arguments;

    screen_clear();
    printf("  %-11s ", name);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

void screen_bar(const char *what, uint64_t done, uint64_t total)
{
    static uint64_t drawn_ms;
    char count[GROUPED_SIZE];
    uint64_t now = clock_ms();

    if (!isatty(STDOUT_FILENO) || now - drawn_ms < BAR_INTERVAL_MS)
        return;
    drawn_ms = now;
    printf("\r\033[K  %-11s ", what);
    if (total > 0) {
        char bar[BAR_CELLS + 1];

        for (uint64_t i = 0; i < BAR_CELLS; i++)
            bar[i] = i * total < done * BAR_CELLS ? '#' : '.';
        bar[BAR_CELLS] = '\0';
        printf("[%s] %3u %%  ", bar, (unsigned)(done * 100 / total));
    }
    printf("%s records", grouped(done, count));
    bar_stands = true;
    fflush(stdout);
}
