/* SPDX-License-Identifier: Apache-2.0 */
/* klane_micro: times the microbenchmarks and writes their figures to DIR/results.json; or, for
 * callgrind, runs each a few times (bench/micro/count).
 *
 * Exit status: 0, all ran; 1, one failed; 2, the arguments are wrong. */
#include "micro/micro.h"

#include "lib/results.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct micro_part *const families[] = {
    micro_sync, micro_threads, micro_base, micro_lanes, micro_core, micro_progress,
};

#define FAMILIES (sizeof(families) / sizeof(families[0]))

enum { ROUNDS = 5, ROUNDS_QUICK = 2, ROUND_NS = 20000000, RUNS_COUNTED = 4 };

struct arguments {
    bool count;
    bool list;
    bool quick;
    uint32_t rounds;
    const char *only; /* names with commas between them; NULL: all */
    const char *out;
};

void *micro_alloc(size_t size)
{
    size_t whole = (size + 63) / 64 * 64;
    void *block = aligned_alloc(64, whole);

    micro_check(block != NULL, "no memory");
    memset(block, 0, whole);
    return block;
}

static uint32_t operations_of(const struct micro *micro)
{
    return micro->operations > 0 ? micro->operations : MICRO_RUN;
}

static void prepare(const struct micro *micro, void *stage)
{
    if (micro->prepare != NULL)
        micro->prepare(stage);
}

void micro_measure(const struct micro *micro, void *stage)
{
    micro->run(stage);
    /* Or it would jump there and never come back. */
    __asm__ volatile("");
}

void micro_counted(const struct micro *micro)
{
    __asm__ volatile("" : : "r"(micro));
}

/* The first run finds caches and memory cold, and is neither timed nor counted. */
static void *begin(const struct micro *micro)
{
    void *stage = micro->begin();

    prepare(micro, stage);
    micro->run(stage);
    return stage;
}

static void count(const struct micro_part *part, const struct micro *micro)
{
    void *stage;

    if (micro->has_two_threads)
        return;
    stage = begin(micro);
    for (int i = 0; i < RUNS_COUNTED; i++) {
        prepare(micro, stage);
        micro_measure(micro, stage);
    }
    micro->end(stage);
    micro_counted(micro);
    printf("%s %s %u\n", part->name, micro->name, RUNS_COUNTED * operations_of(micro));
}

/* Nanoseconds for an operation. */
static double time_one(const struct micro *micro, bool quick)
{
    void *stage = begin(micro);
    uint64_t operations = 0;
    int64_t taken_ns = 0;

    do {
        int64_t begin_ns;

        prepare(micro, stage);
        begin_ns = bench_now_ns();
        micro_measure(micro, stage);
        taken_ns += bench_now_ns() - begin_ns;
        operations += operations_of(micro);
    } while (taken_ns < ROUND_NS && !quick);
    micro->end(stage);
    return (double)taken_ns / (double)operations;
}

static void time_part(const struct micro_part *part, const struct arguments *arguments,
                      struct results *results)
{
    static struct bench_outcome outcome;
    struct bench_case benchmark = {.name = part->name, .what = part->what};

    memset(&outcome, 0, sizeof(outcome));
    fprintf(stderr, "%s:", part->name);
    for (uint32_t i = 0; part->micros[i].name != NULL; i++) {
        struct bench_series *series = outcome.arms[i].series;

        fprintf(stderr, " %s", part->micros[i].name);
        benchmark.arms[i].name = part->micros[i].name;
        outcome.arms[i].series_count = 1;
        series->metric = "time";
        for (uint32_t round = 0; round < arguments->rounds; round++)
            series->values[series->count++] = time_one(&part->micros[i], arguments->quick);
    }
    fputc('\n', stderr);
    results_add(results, &benchmark, arguments->rounds, &outcome);
}

/* ---- arguments ------------------------------------------------------------------------- */

static void usage(FILE *file)
{
    fputs("Usage: klane_micro [--list] [--only PART,...] [--out DIR] [--rounds N] [--quick]\n"
          "       klane_micro --count [--only PART,...]\n",
          file);
}

static struct arguments parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"count", no_argument, NULL, 'c'},      {"list", no_argument, NULL, 'l'},
        {"only", required_argument, NULL, 'o'}, {"out", required_argument, NULL, 'd'},
        {"quick", no_argument, NULL, 'q'},      {"rounds", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
    };
    struct arguments arguments = {.out = "."};
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'c')
            arguments.count = true;
        else if (option == 'l')
            arguments.list = true;
        else if (option == 'q')
            arguments.quick = true;
        else if (option == 'o')
            arguments.only = optarg;
        else if (option == 'd')
            arguments.out = optarg;
        else if (option == 'r')
            arguments.rounds = (uint32_t)strtoul(optarg, NULL, 10);
        else {
            usage(option == 'h' ? stdout : stderr);
            exit(option == 'h' ? 0 : 2);
        }
    }
    if (arguments.rounds == 0)
        arguments.rounds = arguments.quick ? ROUNDS_QUICK : ROUNDS;
    if (optind < argc || arguments.rounds > BENCH_ROUNDS_MAX) {
        usage(stderr);
        exit(2);
    }
    return arguments;
}

static bool is_part(const char *name, size_t length)
{
    for (size_t i = 0; i < FAMILIES; i++)
        for (const struct micro_part *part = families[i]; part->name != NULL; part++)
            if (strlen(part->name) == length && strncmp(part->name, name, length) == 0)
                return true;
    return false;
}

static void check_names(const char *only)
{
    while (only != NULL && *only != '\0') {
        size_t length = strcspn(only, ",");

        if (!is_part(only, length)) {
            fprintf(stderr, "bench: there is no part %.*s; --list shows all\n", (int)length,
                    only);
            exit(2);
        }
        only += length;
        only += *only == ',';
    }
}

static void list(const struct micro_part *part)
{
    printf("%-14s %s\n%-14s arms:", part->name, part->what, "");
    for (const struct micro *micro = part->micros; micro->name != NULL; micro++)
        printf(" %s", micro->name);
    putchar('\n');
}

int main(int argc, char **argv)
{
    struct arguments arguments = parse(argc, argv);
    struct results *results = NULL;
    char path[512];

    check_names(arguments.only);
    snprintf(path, sizeof(path), "%s/results.json", arguments.out);
    if (!arguments.count && !arguments.list)
        results = results_create(arguments.quick ? "--quick" : "", arguments.quick);
    for (size_t i = 0; i < FAMILIES; i++)
        for (const struct micro_part *part = families[i]; part->name != NULL; part++) {
            if (arguments.only != NULL && !bench_is_listed(arguments.only, part->name))
                continue;
            if (results != NULL)
                time_part(part, &arguments, results);
            for (const struct micro *micro = part->micros; arguments.count && micro->name;
                 micro++)
                count(part, micro);
            if (arguments.list)
                list(part);
        }
    if (results != NULL && !results_write(results, path)) {
        fprintf(stderr, "bench: %s could not be written\n", path);
        return 1;
    }
    if (results != NULL)
        results_destroy(results);
    return 0;
}
