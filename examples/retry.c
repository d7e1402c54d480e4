/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Handles the topic "orders" of an embedded log, as a shop that refuses what begins with "bad":
 * such an order is tried three times, at growing distances, while other customers go on; then it
 * becomes a dead letter in the topic "orders.dead" of the same log, and its customer goes on, too.
 *
 *     printf 'anna\tbad book\nbert\ttwo pens\nanna\tone book\n' | append orders.log orders
 *     retry orders.log
 *     letters orders.log orders.dead list
 */
#include <klane/sqlite.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_MS 5000

static enum klane_outcome on_order(const struct klane_record *record, void *context)
{
    const char *order = record->value != NULL ? record->value : "";

    (void)context;
    if (record->value_size >= 3 && memcmp(order, "bad", 3) == 0)
        return klane_retry(record, -1, "the shop does not have it");
    printf("%.*s: %.*s\n", (int)record->key_size,
           record->key != NULL ? (const char *)record->key : "", (int)record->value_size, order);
    return KLANE_DONE;
}

/** Where the waits, the limit and the place for dead letters are said. */
static klane_err_t handle_orders(struct klane_runtime *runtime, struct klane_letters *letters)
{
    struct klane_route route;

    klane_route_init(&route, sizeof route);
    route.topic = "orders";
    route.handler = on_order;
    route.retry_delay_ms = 100;
    route.retry_delay_max_ms = 10000;
    route.attempts_max = 3;
    route.exhausted = KLANE_EXHAUSTED_DEAD_LETTER;
    route.dead_letter = klane_letters_send;
    route.dead_letter_context = letters;
    return klane_route(runtime, &route);
}

/** Make all three, or say why not. */
static bool make(const char *path, struct klane_source **source, struct klane_letters **letters,
                 struct klane_runtime **runtime)
{
    struct klane_options options;
    char why[256];

    klane_options_init(&options, sizeof options);
    options.stop_when_caught_up = true;
    if (klane_sqlite_create(path, "shop", KLANE_SQLITE_STANDBY, source, why, sizeof why) ==
            KLANE_OK &&
        klane_sqlite_letters(path, BUSY_MS, "orders.dead", letters, why, sizeof why) ==
            KLANE_OK &&
        klane_create(&options, *source, runtime, why, sizeof why) == KLANE_OK)
        return true;
    fprintf(stderr, "%s\n", why);
    return false;
}

int main(int argc, char **argv)
{
    struct klane_source *source = NULL;
    struct klane_letters *letters = NULL;
    struct klane_runtime *runtime = NULL;
    klane_err_t err = KLANE_ERR_INVALID;

    if (argc != 2) {
        fprintf(stderr, "usage: retry LOG\n");
        return 2;
    }
    if (make(argv[1], &source, &letters, &runtime)) {
        err = handle_orders(runtime, letters);
        if (err == KLANE_OK)
            err = klane_run(runtime);
        if (err != KLANE_OK)
            fprintf(stderr, "%s\n", klane_strerror(err));
    }
    if (klane_destroy(runtime) != KLANE_OK)
        return EXIT_FAILURE; /* A handler is out: what it uses stays until the process ends. */
    if (runtime == NULL)
        klane_source_destroy(source);
    klane_letters_destroy(letters);
    return err == KLANE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
