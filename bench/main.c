/* SPDX-License-Identifier: Apache-2.0 */
/* klane_bench: runs cases and writes their figures to DIR/results.json.
 *
 * Exit status: 0, every case ran; 1, one failed; 2, the arguments are wrong. */
#include "cases/cases.h"
#include "lib/results.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct bench_case *const families[] = {
    dispatch_cases, schedule_cases, order_cases, isolation_cases, memory_cases,
#ifdef BENCH_SQLITE
    log_cases,      latency_cases,
#endif
};

#define FAMILIES (sizeof(families) / sizeof(families[0]))

enum { ROUNDS = 5, ROUNDS_QUICK = 2 };

struct arguments {
    bool list;
    bool quick;
    uint32_t rounds;
    const char *only; /* names with commas between them; NULL: all */
    const char *out;
};

static void usage(FILE *file)
{
    fputs("Usage: klane_bench [--list] [--only CASE,...] [--out DIR] [--rounds N] [--quick]\n",
          file);
}

static struct arguments parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"list", no_argument, NULL, 'l'},
        {"only", required_argument, NULL, 'o'},
        {"out", required_argument, NULL, 'd'},
        {"quick", no_argument, NULL, 'q'},
        {"rounds", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct arguments arguments = {.out = "."};
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'l')
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

/* Whether the name is one of those in the list. */
static bool is_listed(const char *list, const char *name, size_t length)
{
    for (const char *each = list; each != NULL; each = strchr(each, ',')) {
        each += *each == ',';
        if (strcspn(each, ",") == length && strncmp(each, name, length) == 0)
            return true;
    }
    return false;
}

static bool is_case(const char *name, size_t length)
{
    for (size_t i = 0; i < FAMILIES; i++)
        for (const struct bench_case *each = families[i]; each->name != NULL; each++)
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
        for (const struct bench_case *each = families[i]; each->name != NULL; each++) {
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
    succeeded =
        bench_case_run(benchmark, arguments->rounds, arguments->quick, directory, &outcome);
    if (succeeded)
        results_add(results, benchmark, &outcome);
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0)
        fprintf(stderr, "bench: %s was not removed\n", directory);
    return succeeded;
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
    results = results_create(arguments.rounds, arguments.quick);
    for (size_t i = 0; i < FAMILIES; i++)
        for (const struct bench_case *each = families[i]; each->name != NULL; each++)
            if (arguments.only == NULL ||
                is_listed(arguments.only, each->name, strlen(each->name)))
                failed += !run_case(each, &arguments, results);
    snprintf(path, sizeof(path), "%s/results.json", arguments.out);
    if (!results_write(results, path)) {
        fprintf(stderr, "bench: %s could not be written\n", path);
        failed++;
    }
    results_destroy(results);
    return failed > 0;
}
