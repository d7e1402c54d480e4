/* SPDX-License-Identifier: Apache-2.0 */
/* The harness: cases, their arms, and the rounds in which the arms alternate.
 *
 * Upholds: each arm of each round runs in a process of its own, so that its memory and processor
 * time are its own; a figure counts only if every arm that it is compared with did the same work.
 *
 * An arm is a function that runs in a child process, reports figures and returns; one that fails
 * says why with bench_fail() and fails its case. */
#ifndef KLANE_BENCH_LIB_HARNESS_H
#define KLANE_BENCH_LIB_HARNESS_H

#include <klane/klane.h>

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum {
    BENCH_ARMS_MAX = 16,
    BENCH_RATIOS_MAX = 16,
    BENCH_TARGETS_MAX = 5,
    BENCH_FIGURES_MAX = 16,
    BENCH_SETTINGS_MAX = 24,
    BENCH_ROUNDS_MAX = 16,
    BENCH_NAME_MAX = 40,
    BENCH_TEXT_MAX = 96,
    BENCH_REASON_MAX = 256,
    BENCH_POINTS_MAX = 256,
    BENCH_CURVES_MAX = 2,
    BENCH_CONCURRENCY_MAX = 1024,
    BENCH_PARTITIONS_MAX = 256,
    BENCH_VALUE_BYTES_MIN = 24,
    BENCH_VALUE_BYTES_MAX = 65536
};

struct bench_figure {
    const char *metric; /* one of bench_metrics */
    double value;
};

struct bench_setting {
    char name[BENCH_NAME_MAX];
    int64_t count;             /* if text is empty */
    char text[BENCH_TEXT_MAX]; /* else */
};

/* A figure over time, or over something else. */
struct bench_curve {
    const char *name;
    uint32_t count;
    double points[BENCH_POINTS_MAX][2];
};

/* What an arm leaves; in memory shared with the harness. Metrics and names of curves point to
 * string literals, which have the same address in both processes. */
struct bench_result {
    bool finished;
    uint64_t work; /* records handled (or slept for) between the two ends of the clock */
    uint32_t figure_count;
    uint32_t setting_count;
    struct bench_figure figures[BENCH_FIGURES_MAX];
    struct bench_setting settings[BENCH_SETTINGS_MAX];
    struct bench_curve curves[BENCH_CURVES_MAX]; /* without a name: there is none */
};

/* How the program was called; 0: as the case has it. */
struct bench_options {
    bool quick;           /* small counts: does everything, measures nothing well */
    uint32_t concurrency; /* of the Kafka cases: workers, or threads */
    uint32_t partitions;  /* of the Kafka cases' topics that are filled beforehand */
    uint32_t value_bytes; /* of their records */
};

/* What an arm is given. */
struct bench_run {
    const struct bench_options *options;
    const void *plan; /* the arm's */
    uint32_t round;
    const char *directory; /* for the case's files, on the disk of the results */
    struct bench_result *result;
};

struct bench_arm {
    const char *name; /* NULL: the end of the list */
    void (*run)(struct bench_run *run);
    const void *plan;
    bool own_work; /* does another amount of work: only rates are compared */
    /* False: it cannot run here, and is left out and named with the reason. NULL: it always can.
     * Called in the harness's own process, once, before the rounds. */
    bool (*available)(char *reason, size_t size);
};

/* In each round: a figure of arm by that of base, which becomes a figure of arm. The metric says
 * which figure is divided. */
struct bench_ratio {
    const char *metric; /* NULL: the end of the list */
    const char *arm;
    const char *base; /* or several with commas between them: the fastest of the round counts, and
                         those that are left out do not */
};

struct bench_target {
    const char *arm; /* NULL: the end of the list */
    const char *metric;
    double value; /* at least, or at most where less is better */
};

struct bench_case {
    const char *name;
    const char *what; /* one sentence */
    struct bench_arm arms[BENCH_ARMS_MAX + 1];
    struct bench_ratio ratios[BENCH_RATIOS_MAX + 1];
    struct bench_target targets[BENCH_TARGETS_MAX + 1];
    /* Once, before the rounds, in a process of its own: makes files. May be NULL. */
    void (*prepare)(struct bench_run *run);
    const void *prepare_plan;
    bool is_headline; /* has five rounds, others have one, unless the program is told otherwise */
    bool is_long;     /* takes long, so only runs when asked for */
};

struct bench_metric {
    const char *name;
    const char *unit;
    bool more_is_better;
    const char *of; /* a ratio's: the metric that is divided; else NULL */
};

/* NULL: there is no such metric. */
const struct bench_metric *bench_metric_find(const char *name);

/* Whether the name is one of those in the list, which has commas between them. */
bool bench_is_listed(const char *list, const char *name);

/* ---- for arms -------------------------------------------------------------------------- */

void bench_figure(struct bench_run *run, const char *metric, double value);

/* One more point of the series of this name; those past BENCH_POINTS_MAX are left out. */
void bench_point(struct bench_run *run, const char *series, double x, double y);

void bench_setting(struct bench_run *run, const char *name, int64_t count);
void bench_setting_text(struct bench_run *run, const char *name, const char *text);

_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Fails with what was done and why it did not work. */
void bench_check(klane_err_t err, const char *what);

/* Fails unless the two are equal. */
void bench_check_count(uint64_t actual, uint64_t expected, const char *what);

static inline uint64_t bench_count(const struct bench_run *run, uint64_t count, uint64_t quick)
{
    return run->options->quick ? quick : count;
}

static inline int64_t bench_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static inline void bench_sleep_ms(uint64_t ms)
{
    const struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL);
}

void bench_wait(sem_t *semaphore);

/* A process that ends with the arm, also if that has ended by now. 0: in it. */
pid_t bench_fork(void);

/* The clock of an arm: time that passed and time of all processors. */
struct bench_meter {
    int64_t wall_ns;
    int64_t cpu_ns;
};

void bench_meter_start(struct bench_meter *meter);
void bench_meter_stop(struct bench_meter *meter);

/* The figures `throughput` and `cpu`, and the work. */
void bench_meter_report(const struct bench_meter *meter, struct bench_run *run, uint64_t records);

/* ---- for main -------------------------------------------------------------------------- */

/* One metric of one arm over all rounds. */
struct bench_series {
    const char *metric;
    uint32_t count;
    double values[BENCH_ROUNDS_MAX];
};

struct bench_arm_outcome {
    char reason[BENCH_REASON_MAX]; /* why it is left out; empty: it is not */
    struct bench_result last;      /* of its last round: settings and curves */
    uint32_t series_count;
    struct bench_series series[BENCH_FIGURES_MAX + BENCH_RATIOS_MAX + 1];
};

struct bench_outcome {
    struct bench_arm_outcome arms[BENCH_ARMS_MAX];
};

/* Run a case, or those of its arms that are in the list arms, if it is not NULL. False: an arm
 * failed, or the arms did not do the same work; it was said so on stderr. */
bool bench_case_run(const struct bench_case *benchmark, const char *arms, uint32_t rounds,
                    const struct bench_options *options, const char *directory,
                    struct bench_outcome *outcome);

#endif
