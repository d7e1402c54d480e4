/* SPDX-License-Identifier: Apache-2.0 */
/**
 * By hand: there are three options, and they come first.
 */
#include "arguments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
    "usage: quickstart [--check] [--pace MICROSECONDS] [--kafka HOST:PORT] [--] [REPOSITORY]\n"
    "Folds the history of a git repository (default: here) through klane.\n"
    "--check: only say whether it can be done.\n"
    "--pace: how long a handler takes on purpose; default: so that there is something to see.\n"
    "--kafka: through the Kafka brokers there, not through the embedded log.\n";

/** Read 0 to ten seconds. */
static bool pace_parse(const char *text, int64_t *pace_us)
{
    char *end;

    errno = 0;
    *pace_us = strtoll(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && *pace_us >= 0 && *pace_us <= 10000000)
        return true;
    fprintf(stderr, "--pace wants 0 to 10000000 microseconds, not %s\n", text);
    return false;
}

/** Whether this is host:port, of as many bytes. */
static bool is_broker(const char *text, size_t size)
{
    const char *colon = memrchr(text, ':', size);
    unsigned long port;
    char *end;

    if (colon == NULL || colon == text || colon[1] < '0' || colon[1] > '9')
        return false;
    port = strtoul(colon + 1, &end, 10);
    return end == text + size && port >= 1 && port <= 65535;
}

static bool brokers_parse(const char *text)
{
    const char *at = text;
    size_t size = strcspn(at, ",");

    while (is_broker(at, size) && at[size] == ',') {
        at += size + 1;
        size = strcspn(at, ",");
    }
    if (!is_broker(at, size)) {
        fprintf(stderr, "--kafka wants HOST:PORT, or several with commas between, not %s\n",
                text);
        return false;
    }
#ifdef QUICKSTART_KAFKA
    return true;
#else
    fprintf(stderr, "--kafka: this program was built without librdkafka, which was not found\n");
    return false;
#endif
}

/** Take one option with its value, if it has one. Returns how many words, -1: it is wrong. */
static int option_parse(char **words, struct arguments *arguments)
{
    if (strcmp(words[0], "--check") == 0) {
        arguments->check = true;
        return 1;
    }
    if (strcmp(words[0], "--pace") == 0 && words[1] != NULL)
        return pace_parse(words[1], &arguments->pace_us) ? 2 : -1;
    if (strcmp(words[0], "--kafka") == 0 && words[1] != NULL) {
        arguments->brokers = words[1];
        return brokers_parse(words[1]) ? 2 : -1;
    }
    fprintf(stderr, "%s: there is no such option, or its value is missing\n%s", words[0], USAGE);
    return -1;
}

bool arguments_parse(int argc, char **argv, struct arguments *arguments)
{
    int at = 1;

    *arguments = (struct arguments){.repository = ".", .pace_us = -1};
    while (at < argc && argv[at][0] == '-' && strcmp(argv[at], "--") != 0) {
        int words = option_parse(argv + at, arguments);

        if (words < 0)
            return false;
        at += words;
    }
    if (at < argc && strcmp(argv[at], "--") == 0)
        at++;
    if (at < argc)
        arguments->repository = argv[at++];
    if (at == argc)
        return true;
    fprintf(stderr, "one repository is enough: what is %s?\n%s", argv[at], USAGE);
    return false;
}
