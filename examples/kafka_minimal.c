/* SPDX-License-Identifier: Apache-2.0 */
#include <klane/kafka.h>

#include <signal.h>
#include <stdio.h>

static struct klane_runtime *runtime;

/* Runs on several threads; for one key never on two at once, and in the partition's order. */
static enum klane_outcome on_order(const struct klane_record *record, void *context)
{
    const char *value = record->value != NULL ? record->value : "";

    if (fprintf(context, "%.*s\n", (int)record->value_size, value) < 0 || fflush(context) != 0)
        return klane_retry(record, 500, "the output is away");
    return KLANE_DONE;
}

static void on_signal(int signal)
{
    (void)signal;
    klane_stop(runtime); /* One of the few calls that a signal handler may make. */
}

int main(int argc, char **argv)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new(); /* More of librdkafka's settings go in here. */
    struct klane_source *source = NULL;
    char why[256] = "usage: kafka_minimal HOST:PORT GROUP TOPIC";

    if (argc != 4 ||
        rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], why, sizeof why) !=
            RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(conf, "group.id", argv[2], why, sizeof why) != RD_KAFKA_CONF_OK ||
        klane_kafka_create(conf, NULL, &source, why, sizeof why) != KLANE_OK ||
        klane_create(NULL, source, &runtime, why, sizeof why) != KLANE_OK) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    klane_handle(runtime, argv[3], on_order, stdout);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    klane_err_t err = klane_run(runtime); /* Until a signal: what is finished is committed. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    klane_destroy(runtime);
    return err == KLANE_OK ? 0 : 1;
}
