/* SPDX-License-Identifier: Apache-2.0 */
#include <klane/sqlite.h>

#include <stdio.h>

/* Runs on several threads; for one key never on two at once, and in the log's order. */
static enum klane_outcome on_order(const struct klane_record *record, void *context)
{
    const char *value = record->value != NULL ? record->value : "";

    if (fprintf(context, "%.*s\n", (int)record->value_size, value) < 0 || fflush(context) != 0)
        return klane_retry(record, 500, "the output is away");
    return KLANE_DONE;
}

int main(int argc, char **argv)
{
    struct klane_source *source = NULL;
    struct klane_runtime *runtime = NULL;
    const char *path = argc > 1 ? argv[1] : "orders.log";
    char why[256];

    if (klane_sqlite_create(path, "printer", KLANE_SQLITE_STANDBY, &source, why, sizeof why) !=
            KLANE_OK ||
        klane_create(NULL, source, &runtime, why, sizeof why) != KLANE_OK) {
        fprintf(stderr, "%s\n", why);
        klane_source_destroy(source);
        return 1;
    }
    klane_handle(runtime, "orders", on_order, stdout);
    klane_err_t err = klane_run(runtime); /* Until klane_stop(), or until it is killed. */
    klane_destroy(runtime);
    return err == KLANE_OK ? 0 : 1;
}
