/* SPDX-License-Identifier: Apache-2.0 */
/* klane_bench: runs cases and writes their figures to DIR/results.json.
 *
 * Exit status: 0, every case ran; 1, one failed; 2, the arguments are wrong. */
#include "cases/cases.h"
#include "lib/results.h"
#ifdef BENCH_KAFKA
#include "lib/cluster.h"
#endif

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Cases, and what all of them need: made before the first that runs, ended after the last. */
struct family {
    const struct bench_case *cases;
    bool (*begin)(const char *out); /* false: it was said why. NULL: they need nothing */
    void (*end)(void);
};

static const struct family families[] = {
    {dispatch_cases, NULL, NULL},
    {schedule_cases, NULL, NULL},
    {order_cases, NULL, NULL},
    {isolation_cases, NULL, NULL},
    {all_stuck_cases, NULL, NULL},
    {outage_cases, NULL, NULL},
    {poison_cases, NULL, NULL},
    {later_cases, NULL, NULL},
    {memory_cases, NULL, NULL},
    {weight_cases, NULL, NULL},
    {batch_cases, NULL, NULL},
#ifdef BENCH_SQLITE
    {budget_cases, NULL, NULL},
    {blocked_cases, NULL, NULL},
    {catch_up_cases, NULL, NULL},
    {log_cases, NULL, NULL},
    {outbox_cases, NULL, NULL},
    {restart_log_cases, NULL, NULL},
    {latency_cases, NULL, NULL},
    {keep_cases, NULL, NULL},
    {together_cases, NULL, NULL},
#endif
#ifdef BENCH_KAFKA
    {kafka_cases, cluster_begin, cluster_end},
#endif
};

#define FAMILIES (sizeof(families) / sizeof(families[0]))

enum { ROUNDS = 5, ROUNDS_QUICK = 2 };

struct arguments {
    bool list;
    uint32_t rounds;
    struct bench_options options;
    const char *only; /* names with commas between them; NULL: all */
    const char *arms; /* the same */
    const char *out;
};

static void usage(FILE *file)
{
    fputs("Usage: klane_bench [--list] [--only CASE,...] [--arms ARM,...] [--out DIR]\n"
          "                   [--rounds N] [--quick]\n",
          file);
}

static struct arguments parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"arms", required_argument, NULL, 'a'}, {"list", no_argument, NULL, 'l'},
        {"only", required_argument, NULL, 'o'}, {"out", required_argument, NULL, 'd'},
        {"quick", no_argument, NULL, 'q'},      {"rounds", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
    };
    struct arguments arguments = {.out = "."};
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'a')
            arguments.arms = optarg;
        else if (option == 'l')
            arguments.list = true;
        else if (option == 'q')
            arguments.options.quick = true;
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
        arguments.rounds = arguments.options.quick ? ROUNDS_QUICK : ROUNDS;
    if (optind < argc || arguments.rounds > BENCH_ROUNDS_MAX) {
        usage(stderr);
        exit(2);
    }
    return arguments;
}

static bool is_case(const char *name, size_t length)
{
    for (size_t i = 0; i < FAMILIES; i++)
        for (const struct bench_case *each = families[i].cases; each->name != NULL; each++)
            if (strlen(each->name) == length && strncmp(each->name, name, length) == 0)
                return true;
    return false;
}

static void check_names(const char *only)
{
    while (only != NULL && *only != '\0') {
        size_t length = strcspn(only, ",");

        if (!is_case(only, length)) {
            fprintf(stderr, "bench: there is no case %.*s; --list shows all\n", (int)length,
                    only);
            exit(2);
        }
        only += length;
        only += *only == ',';
    }
}

static void list(void)
{
    for (size_t i = 0; i < FAMILIES; i++)
        for (const struct bench_case *each = families[i].cases; each->name != NULL; each++) {
            printf("%-16s %s\n%-16s arms:", each->name, each->what, "");
            for (const struct bench_arm *arm = each->arms; arm->name != NULL; arm++)
                printf(" %s", arm->name);
            putchar('\n');
        }
}

/* Each case has its files in a folder of its own, which goes when it is over. */
static bool run_case(const struct bench_case *benchmark, const struct arguments *arguments,
                     struct results *results)
{
    static struct bench_outcome outcome;
    char directory[512], command[600];
    bool succeeded;

    snprintf(directory, sizeof(directory), "%s/files-XXXXXX", arguments->out);
    if (mkdtemp(directory) == NULL) {
        perror(directory);
        return false;
    }
    succeeded = bench_case_run(benchmark, arguments->arms, arguments->rounds, &arguments->options,
                               directory, &outcome);
    if (succeeded)
        results_add(results, benchmark, &outcome);
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0)
        fprintf(stderr, "bench: %s was not removed\n", directory);
    return succeeded;
}

static bool is_to_run(const struct bench_case *benchmark, const struct arguments *arguments)
{
    return arguments->only == NULL || bench_is_listed(arguments->only, benchmark->name);
}

/* Returns how many cases failed. */
static int run_family(const struct family *family, const struct arguments *arguments,
                      struct results *results)
{
    bool has_begun = false;
    int failed = 0;

    for (const struct bench_case *each = family->cases; each->name != NULL; each++) {
        if (!is_to_run(each, arguments))
            continue;
        if (!has_begun && family->begin != NULL && !family->begin(arguments->out)) {
            fprintf(stderr, "bench: %s failed, and so do the others of its kind\n", each->name);
            return 1;
        }
        has_begun = true;
        failed += !run_case(each, arguments, results);
    }
    if (has_begun && family->end != NULL)
        family->end();
    return failed;
}

int main(int argc, char **argv)
{
    struct arguments arguments = parse(argc, argv);
    struct results *results;
    char path[512];
    int failed = 0;

    if (arguments.list) {
        list();
        return 0;
    }
    check_names(arguments.only);
    results = results_create(arguments.rounds, arguments.options.quick);
    for (size_t i = 0; i < FAMILIES; i++)
        failed += run_family(&families[i], &arguments, results);
    snprintf(path, sizeof(path), "%s/results.json", arguments.out);
    if (!results_write(results, path)) {
        fprintf(stderr, "bench: %s could not be written\n", path);
        failed++;
    }
    results_destroy(results);
    return failed > 0;
}
