/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Counts the orders of each customer in the topic "orders" of an embedded log, on all processors
 * and without a lock: each key has a tally of its own, which only the handler of its records
 * touches, and each worker a number of its own. The tallies are printed as they are let go; a
 * program that needs them again would write them to a database there, and read them from it where
 * a handler finds none.
 *
 *     printf 'anna\tone book\nbert\ttwo pens\nanna\tno book\n' | append orders.log orders
 *     count orders.log
 */
#include <klane/sqlite.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** What is kept for a key. */
struct tally {
    unsigned long orders;
    size_t key_size;
    char key[];
};

/** What a worker has for itself. */
struct desk {
    unsigned long orders;
};

static struct tally *tally_create(const struct klane_record *record)
{
    struct tally *tally = malloc(sizeof *tally + record->key_size);

    if (tally == NULL)
        return NULL;
    tally->orders = 0;
    tally->key_size = record->key_size;
    memcpy(tally->key, record->key, record->key_size);
    return tally;
}

/** Never two at once for one key, so what is kept for it needs no lock. */
static enum klane_outcome on_order(const struct klane_record *record, void *context)
{
    struct desk *desk = record->worker_local;

    (void)context;
    if (record->lane_state == NULL)
        return klane_skip(record, "no key");
    if (*record->lane_state == NULL)
        *record->lane_state = tally_create(record);
    if (*record->lane_state == NULL)
        return klane_retry(record, 1000, "no memory");
    ((struct tally *)*record->lane_state)->orders++;
    desk->orders++;
    return KLANE_DONE;
}

/** The key has been idle for long, its partition goes, or the program ends. */
static void on_idle(void *state, void *context)
{
    struct tally *tally = state;

    (void)context;
    printf("%.*s: %lu\n", (int)tally->key_size, tally->key, tally->orders);
    free(tally);
}

static bool desk_open(void *context, void **local)
{
    (void)context;
    *local = calloc(1, sizeof(struct desk));
    return *local != NULL;
}

static void desk_close(void *context, void *local)
{
    struct desk *desk = local;

    atomic_fetch_add((atomic_ulong *)context, desk->orders);
    free(desk);
}

static klane_err_t run(struct klane_runtime *runtime)
{
    struct klane_topic topic;
    klane_err_t err;

    klane_topic_init(&topic, sizeof topic);
    topic.name = "orders";
    topic.state_free = on_idle;
    err = klane_topic(runtime, &topic);
    if (err == KLANE_OK)
        err = klane_handle(runtime, "orders", on_order, NULL);
    return err == KLANE_OK ? klane_run(runtime) : err;
}

int main(int argc, char **argv)
{
    struct klane_source *source = NULL;
    struct klane_runtime *runtime = NULL;
    struct klane_options options;
    atomic_ulong orders = 0;
    char why[256] = "usage: count LOG";
    klane_err_t err;

    klane_options_init(&options, sizeof options);
    options.stop_when_caught_up = true;
    options.worker_start = desk_open;
    options.worker_stop = desk_close;
    options.worker_context = &orders;
    if (argc != 2 ||
        klane_sqlite_create(argv[1], "counter", KLANE_SQLITE_STANDBY, &source, why, sizeof why) !=
            KLANE_OK ||
        klane_create(&options, source, &runtime, why, sizeof why) != KLANE_OK) {
        fprintf(stderr, "%s\n", why);
        klane_source_destroy(source);
        return argc != 2 ? 2 : 1;
    }
    err = run(runtime);
    if (klane_destroy(runtime) != KLANE_OK)
        return EXIT_FAILURE; /* A handler is out. */
    /* Workers have ended. */
    printf("orders: %lu\n", atomic_load(&orders));
    return err == KLANE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
