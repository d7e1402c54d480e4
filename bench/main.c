/* SPDX-License-Identifier: Apache-2.0 */
/* klane_bench: runs cases and writes their figures to DIR/results.json.
 *
 * Exit status: 0, every case ran; 1, one failed; 2, the arguments are wrong. */
#include "cases/cases.h"
#include "lib/results.h"
#ifdef BENCH_KAFKA
#include "lib/cluster.h"
#endif

#include <errno.h>
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
    {scale_cases, NULL, NULL},
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

/* Of headline cases, and of all with --full; else one. */
enum { ROUNDS = 5, TEXT_MAX = 512 };

struct arguments {
    bool list;
    bool full;
    uint32_t rounds; /* 0: as the case has it */
    struct bench_options options;
    const char *only; /* names with commas between them; NULL: all */
    const char *arms; /* the same */
    const char *out;
    char text[TEXT_MAX]; /* what was given, but for --only and --out */
};

static const struct option long_options[] = {
    {"list", no_argument, NULL, 'l'},
    {"only", required_argument, NULL, 'o'},
    {"arms", required_argument, NULL, 'a'},
    {"out", required_argument, NULL, 'd'},
    {"quick", no_argument, NULL, 'q'},
    {"full", no_argument, NULL, 'f'},
    {"rounds", required_argument, NULL, 'r'},
    {"concurrency", required_argument, NULL, 'c'},
    {"partitions", required_argument, NULL, 'p'},
    {"size", required_argument, NULL, 's'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void usage(FILE *file)
{
    fputs("Usage: klane_bench [--list] [--only CASE,...] [--arms ARM,...] [--out DIR]\n"
          "                   [--rounds N] [--quick | --full] [--concurrency N]\n"
          "                   [--partitions N] [--size BYTES]\n",
          file);
}

/* A whole number within limits, or the end. */
static uint32_t number_of(const char *name, const char *text, uint32_t least, uint32_t most)
{
    unsigned long long value;
    char *end;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < least ||
        value > most) {
        fprintf(stderr, "bench: --%s %s: has to be a number from %u to %u\n", name, text, least,
                most);
        exit(2);
    }
    return (uint32_t)value;
}

/* For whoever wants to run the same again. */
static void note_text(struct arguments *arguments, const char *name, const char *value)
{
    size_t length = strlen(arguments->text);

    snprintf(arguments->text + length, TEXT_MAX - length, "%s--%s%s%s", length > 0 ? " " : "",
             name, value[0] != '\0' ? " " : "", value);
}

static void note(struct arguments *arguments, const char *name, uint32_t value)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", value);
    if (value > 0)
        note_text(arguments, name, text);
}

static void note_all(struct arguments *arguments)
{
    const struct bench_options *options = &arguments->options;

    if (options->quick)
        note_text(arguments, "quick", "");
    if (arguments->full)
        note_text(arguments, "full", "");
    if (arguments->arms != NULL)
        note_text(arguments, "arms", arguments->arms);
    note(arguments, "rounds", arguments->rounds);
    note(arguments, "concurrency", options->concurrency);
    note(arguments, "partitions", options->partitions);
    note(arguments, "size", options->value_bytes);
}

static void set(struct arguments *arguments, int option, const char *value)
{
    struct bench_options *options = &arguments->options;

    if (option == 'l')
        arguments->list = true;
    else if (option == 'q')
        options->quick = true;
    else if (option == 'f')
        arguments->full = true;
    else if (option == 'o')
        arguments->only = value;
    else if (option == 'a')
        arguments->arms = value;
    else if (option == 'd')
        arguments->out = value;
    else if (option == 'r')
        arguments->rounds = number_of("rounds", value, 1, BENCH_ROUNDS_MAX);
    else if (option == 'c')
        options->concurrency = number_of("concurrency", value, 1, BENCH_CONCURRENCY_MAX);
    else if (option == 'p')
        options->partitions = number_of("partitions", value, 1, BENCH_PARTITIONS_MAX);
    else if (option == 's')
        options->value_bytes =
            number_of("size", value, BENCH_VALUE_BYTES_MIN, BENCH_VALUE_BYTES_MAX);
    else {
        usage(option == 'h' ? stdout : stderr);
        exit(option == 'h' ? 0 : 2);
    }
}

static struct arguments parse(int argc, char **argv)
{
    struct arguments arguments = {.out = "."};
    int option;

    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
        set(&arguments, option, optarg);
    if (optind < argc || (arguments.full && arguments.options.quick)) {
        usage(stderr);
        exit(2);
    }
    note_all(&arguments);
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

static bool is_arm(const char *name, size_t length)
{
    for (size_t i = 0; i < FAMILIES; i++)
        for (const struct bench_case *each = families[i].cases; each->name != NULL; each++)
            for (const struct bench_arm *arm = each->arms; arm->name != NULL; arm++)
                if (strlen(arm->name) == length && strncmp(arm->name, name, length) == 0)
                    return true;
    return false;
}

static void check_names(const char *names, const char *kind,
                        bool (*is_known)(const char *, size_t))
{
    while (names != NULL && *names != '\0') {
        size_t length = strcspn(names, ",");

        if (!is_known(names, length)) {
            fprintf(stderr, "bench: there is no %s %.*s; --list shows all\n", kind, (int)length,
                    names);
            exit(2);
        }
        names += length;
        names += *names == ',';
    }
}

static void list(void)
{
    for (size_t i = 0; i < FAMILIES; i++)
        for (const struct bench_case *each = families[i].cases; each->name != NULL; each++) {
            printf("%-16s %s\n%-16s %sarms:", each->name, each->what, "",
                   each->is_long ? "only when asked for; " : "");
            for (const struct bench_arm *arm = each->arms; arm->name != NULL; arm++)
                printf(" %s", arm->name);
            putchar('\n');
        }
}

static uint32_t rounds_of(const struct bench_case *benchmark, const struct arguments *arguments)
{
    if (arguments->rounds > 0)
        return arguments->rounds;
    if (arguments->options.quick)
        return 1;
    return arguments->full || benchmark->is_headline ? ROUNDS : 1;
}

/* Each case has its files in a folder of its own, which goes when it is over. */
static bool run_case(const struct bench_case *benchmark, const struct arguments *arguments,
                     struct results *results)
{
    static struct bench_outcome outcome;
    uint32_t rounds = rounds_of(benchmark, arguments);
    char directory[512], command[600];
    bool succeeded;

    snprintf(directory, sizeof(directory), "%s/files-XXXXXX", arguments->out);
    if (mkdtemp(directory) == NULL) {
        perror(directory);
        return false;
    }
    succeeded = bench_case_run(benchmark, arguments->arms, rounds, &arguments->options, directory,
                               &outcome);
    if (succeeded)
        results_add(results, benchmark, rounds, &outcome);
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0)
        fprintf(stderr, "bench: %s was not removed\n", directory);
    return succeeded;
}

static bool is_to_run(const struct bench_case *benchmark, const struct arguments *arguments)
{
    if (arguments->only != NULL)
        return bench_is_listed(arguments->only, benchmark->name);
    return !benchmark->is_long || arguments->full || arguments->options.quick;
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
    check_names(arguments.only, "case", is_case);
    check_names(arguments.arms, "arm", is_arm);
    results = results_create(arguments.text, arguments.options.quick);
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
