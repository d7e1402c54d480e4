/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/harness.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* An arm that takes longer hangs. */
#define ARM_SECONDS_MAX 600U

static const struct bench_metric metrics[] = {
    {"throughput", "records/s", true, NULL},
    {"ideal", "of bare threads", true, "throughput"},
    {"share", "of the other arm", true, "throughput"},
    {"cpu", "s/million records", false, NULL},
    {"cpu-control", "s/million records", false, NULL},
    {"cpu-worker", "s/million records", false, NULL},
    {"cpu-share", "of the other arm", false, "cpu"},
    {"rss", "bytes", false, NULL},
    {"rss-share", "of the other arm", false, "rss"},
    {"rss-over", "bytes", false, NULL},
    {"rss-growth", "of a tenth in", false, NULL},
    {"bytes", "bytes/record", false, NULL},
    {"p50", "us", false, NULL},
    {"p90", "us", false, NULL},
    {"p99", "us", false, NULL},
    {"p999", "us", false, NULL},
    {"p9999", "us", false, NULL},
    {"max", "us", false, NULL},
    {"pause", "ms", false, NULL},
    {"append-pause", "ms", false, NULL},
    {"idle-pause", "ms", false, NULL},
    {"busy", "of a processor", false, NULL},
    {"disorder", "records", false, NULL},
    {"repeats", "records", false, NULL},
    {"lost", "records", false, NULL},
    {"passed", "of the others", true, NULL},
    {"by-key", "of no order", true, "throughput"},
    {"first", "ms", false, NULL},
    {"wait", "s", false, NULL},
    {"ideal-time", "of handlers alone", false, NULL},
    {"swept", "of the log's bytes", false, NULL},
    {"passes", "passes", false, NULL},
    {"at-once", "handlers", false, NULL},
    {"least-second", "of the rate offered", true, NULL},
    {"median-second", "of the rate offered", true, NULL},
    {"budget-used", "of the budget", false, NULL},
    {"time", "ns/operation", false, NULL},
};

const struct bench_metric *bench_metric_find(const char *name)
{
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
        if (strcmp(metrics[i].name, name) == 0)
            return &metrics[i];
    return NULL;
}

bool bench_is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);

    for (const char *each = list; each != NULL; each = strchr(each, ',')) {
        each += *each == ',';
        if (strcspn(each, ",") == length && strncmp(each, name, length) == 0)
            return true;
    }
    return false;
}

/* ---- for arms -------------------------------------------------------------------------- */

void bench_fail(const char *format, ...)
{
    va_list arguments;

    fputs("\nbench: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    _exit(1);
}

void bench_check(klane_err_t err, const char *what)
{
    if (err != KLANE_OK)
        bench_fail("%s: %s", what, klane_strerror(err));
}

void bench_check_count(uint64_t actual, uint64_t expected, const char *what)
{
    if (actual != expected)
        bench_fail("%s: %llu, should be %llu", what, (unsigned long long)actual,
                   (unsigned long long)expected);
}

void bench_figure(struct bench_run *run, const char *metric, double value)
{
    const struct bench_metric *found = bench_metric_find(metric);
    struct bench_result *result = run->result;

    if (found == NULL || result->figure_count == BENCH_FIGURES_MAX)
        bench_fail("no room for a figure, or no such metric: %s", metric);
    result->figures[result->figure_count++] = (struct bench_figure){found->name, value};
}

void bench_point(struct bench_run *run, const char *series, double x, double y)
{
    struct bench_curve *curve = run->result->curves;

    while (curve->name != NULL && strcmp(curve->name, series) != 0)
        if (++curve == run->result->curves + BENCH_CURVES_MAX)
            bench_fail("no room for a series: %s", series);
    curve->name = series;
    if (curve->count == BENCH_POINTS_MAX)
        return;
    curve->points[curve->count][0] = x;
    curve->points[curve->count++][1] = y;
}

void bench_setting(struct bench_run *run, const char *name, int64_t count)
{
    struct bench_result *result = run->result;

    if (result->setting_count == BENCH_SETTINGS_MAX)
        bench_fail("no room for a setting: %s", name);
    result->settings[result->setting_count] = (struct bench_setting){.count = count};
    snprintf(result->settings[result->setting_count++].name, BENCH_NAME_MAX, "%s", name);
}

void bench_setting_text(struct bench_run *run, const char *name, const char *text)
{
    bench_setting(run, name, 0);
    snprintf(run->result->settings[run->result->setting_count - 1].text, BENCH_TEXT_MAX, "%s",
             text);
}

void bench_wait(sem_t *semaphore)
{
    /* A signal may end a wait early. */
    while (sem_wait(semaphore) != 0)
        continue;
}

pid_t bench_fork(void)
{
    pid_t arm = getpid(), process = fork();

    if (process < 0)
        bench_fail("no process");
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != arm)
            _exit(1);
    }
    return process;
}

static int64_t cpu_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void bench_meter_start(struct bench_meter *meter)
{
    meter->cpu_ns = cpu_now_ns();
    meter->wall_ns = bench_now_ns();
}

void bench_meter_stop(struct bench_meter *meter)
{
    meter->wall_ns = bench_now_ns() - meter->wall_ns;
    meter->cpu_ns = cpu_now_ns() - meter->cpu_ns;
}

void bench_meter_report(const struct bench_meter *meter, struct bench_run *run, uint64_t records)
{
    run->result->work = records;
    bench_figure(run, "throughput", (double)records * 1e9 / (double)meter->wall_ns);
    bench_figure(run, "cpu", (double)meter->cpu_ns * 1e-3 / (double)records);
}

/* ---- one arm, once --------------------------------------------------------------------- */

static void child_main(void (*arm)(struct bench_run *), struct bench_run *run)
{
    /* Nobody would wait for it any more. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(ARM_SECONDS_MAX);
    arm(run);
    run->result->finished = true;
    _exit(0);
}

/* In a process of its own. Its greatest resident size is what the system says. */
static bool fork_and_run(void (*arm)(struct bench_run *), struct bench_run *run)
{
    struct rusage usage;
    int status;
    pid_t child;

    memset(run->result, 0, sizeof(*run->result));
    fflush(NULL);
    child = fork();
    if (child == 0)
        child_main(arm, run);
    if (child < 0)
        return false;
    while (wait4(child, &status, 0, &usage) < 0)
        if (errno != EINTR)
            return false;
    if (WIFSIGNALED(status))
        fprintf(stderr, "\nbench: killed by signal %d%s\n", WTERMSIG(status),
                WTERMSIG(status) == SIGALRM ? ": it took too long" : "");
    if (!run->result->finished)
        return false;
    bench_figure(run, "rss", (double)usage.ru_maxrss * 1024);
    return true;
}

/* ---- rounds ---------------------------------------------------------------------------- */

static void series_add(struct bench_arm_outcome *arm, const char *metric, double value)
{
    struct bench_series *series = arm->series;
    uint32_t i;

    for (i = 0; i < arm->series_count; i++)
        if (strcmp(series[i].metric, metric) == 0)
            break;
    if (i == arm->series_count)
        arm->series[arm->series_count++] = (struct bench_series){.metric = metric};
    series[i].values[series[i].count++] = value;
}

static uint32_t arm_count(const struct bench_case *benchmark)
{
    uint32_t count = 0;

    while (benchmark->arms[count].name != NULL)
        count++;
    return count;
}

static uint32_t arm_find(const struct bench_case *benchmark, const char *name, size_t length)
{
    uint32_t i;

    for (i = 0; benchmark->arms[i].name != NULL; i++)
        if (strlen(benchmark->arms[i].name) == length &&
            strncmp(benchmark->arms[i].name, name, length) == 0)
            return i;
    bench_fail("%s: no arm is called %.*s", benchmark->name, (int)length, name);
}

static bool is_left_out(const struct bench_outcome *outcome, uint32_t arm)
{
    return outcome->arms[arm].reason[0] != '\0';
}

static double figure_of(const struct bench_result *result, const char *metric)
{
    for (uint32_t i = 0; i < result->figure_count; i++)
        if (strcmp(result->figures[i].metric, metric) == 0)
            return result->figures[i].value;
    bench_fail("an arm reported no %s", metric);
}

/* Of several arms, with commas between them, the fastest; NULL: all of them are left out. */
static const struct bench_arm_outcome *arm_fastest(const struct bench_case *benchmark,
                                                   const struct bench_outcome *outcome,
                                                   const char *names)
{
    const struct bench_arm_outcome *fastest = NULL;
    double most = -1;

    while (*names != '\0') {
        size_t length = strcspn(names, ",");
        uint32_t arm = arm_find(benchmark, names, length);

        names += length;
        names += *names == ',';
        if (is_left_out(outcome, arm))
            continue;
        if (figure_of(&outcome->arms[arm].last, "throughput") > most) {
            fastest = &outcome->arms[arm];
            most = figure_of(&fastest->last, "throughput");
        }
    }
    return fastest;
}

static void ratios_add(const struct bench_case *benchmark, struct bench_outcome *outcome)
{
    for (const struct bench_ratio *ratio = benchmark->ratios; ratio->metric != NULL; ratio++) {
        const char *of = bench_metric_find(ratio->metric)->of;
        struct bench_arm_outcome *arm =
            &outcome->arms[arm_find(benchmark, ratio->arm, strlen(ratio->arm))];
        const struct bench_arm_outcome *base = arm_fastest(benchmark, outcome, ratio->base);

        if (base != NULL && arm->reason[0] == '\0')
            series_add(arm, ratio->metric,
                       figure_of(&arm->last, of) / figure_of(&base->last, of));
    }
}

static bool is_same_work(const struct bench_case *benchmark, const struct bench_outcome *outcome)
{
    const struct bench_arm *first = NULL;
    uint64_t work = 0;

    for (uint32_t i = 0; benchmark->arms[i].name != NULL; i++) {
        const struct bench_arm *arm = &benchmark->arms[i];
        uint64_t own = outcome->arms[i].last.work;

        if (arm->own_work || is_left_out(outcome, i))
            continue;
        if (first != NULL && own != work) {
            fprintf(stderr, "\nbench: %s: %s did %llu, %s did %llu: not the same work\n",
                    benchmark->name, first->name, (unsigned long long)work, arm->name,
                    (unsigned long long)own);
            return false;
        }
        first = arm;
        work = own;
    }
    return true;
}

static bool round_run(const struct bench_case *benchmark, struct bench_run *run,
                      struct bench_outcome *outcome)
{
    uint32_t count = arm_count(benchmark);

    for (uint32_t i = 0; i < count; i++) {
        /* Another arm begins each round, so that none always runs behind the same one. */
        uint32_t index = (i + run->round) % count;
        struct bench_arm_outcome *arm = &outcome->arms[index];

        if (is_left_out(outcome, index))
            continue;
        fprintf(stderr, " %s", benchmark->arms[index].name);
        run->plan = benchmark->arms[index].plan;
        if (!fork_and_run(benchmark->arms[index].run, run)) {
            fprintf(stderr, "\nbench: %s: %s failed\n", benchmark->name,
                    benchmark->arms[index].name);
            return false;
        }
        arm->last = *run->result;
        for (uint32_t k = 0; k < arm->last.figure_count; k++)
            series_add(arm, arm->last.figures[k].metric, arm->last.figures[k].value);
    }
    ratios_add(benchmark, outcome);
    return is_same_work(benchmark, outcome);
}

static void find_left_out(const struct bench_case *benchmark, const char *arms,
                          struct bench_outcome *outcome)
{
    for (uint32_t i = 0; benchmark->arms[i].name != NULL; i++) {
        const struct bench_arm *arm = &benchmark->arms[i];
        char *reason = outcome->arms[i].reason;

        if (arms != NULL && !bench_is_listed(arms, arm->name))
            snprintf(reason, BENCH_REASON_MAX, "it was not asked for");
        else if (arm->available != NULL && !arm->available(reason, BENCH_REASON_MAX))
            fprintf(stderr, "%s: %s is left out: %s\n", benchmark->name, arm->name, reason);
        else
            reason[0] = '\0';
    }
}

bool bench_case_run(const struct bench_case *benchmark, const char *arms, uint32_t rounds,
                    const struct bench_options *options, const char *directory,
                    struct bench_outcome *outcome)
{
    struct bench_run run = {.options = options, .directory = directory};
    int64_t begin_ns = bench_now_ns();
    bool succeeded = true;

    memset(outcome, 0, sizeof(*outcome));
    run.result = mmap(NULL, sizeof(*run.result), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run.result == MAP_FAILED)
        return false;
    find_left_out(benchmark, arms, outcome);
    if (benchmark->prepare != NULL) {
        fprintf(stderr, "%s: preparing\n", benchmark->name);
        run.plan = benchmark->prepare_plan;
        succeeded = fork_and_run(benchmark->prepare, &run);
        if (!succeeded)
            fprintf(stderr, "\nbench: %s: preparing failed\n", benchmark->name);
    }
    for (run.round = 0; succeeded && run.round < rounds; run.round++) {
        fprintf(stderr, "%s: round %u of %u:", benchmark->name, run.round + 1, rounds);
        succeeded = round_run(benchmark, &run, outcome);
        fputc('\n', stderr);
    }
    fprintf(stderr, "%s: %.0f s\n", benchmark->name, (double)(bench_now_ns() - begin_ns) / 1e9);
    munmap(run.result, sizeof(*run.result));
    return succeeded;
}
