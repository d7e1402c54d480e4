/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/results.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

struct results {
    json_t *list;
    json_t *machine; /* settings that all have */
};

static json_t *cpu_name(void)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256] = "", *name = NULL;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "model name", 10) == 0 && (name = strstr(line, ": ")) != NULL)
            break;
    if (file != NULL)
        fclose(file);
    if (name == NULL)
        return json_string("unknown");
    name[strcspn(name, "\n")] = '\0';
    return json_string(name + 2);
}

static json_t *machine_name(void)
{
    struct utsname name;

    if (uname(&name) != 0)
        return json_string("unknown");
    return json_sprintf("%s %s %s", name.sysname, name.release, name.machine);
}

static json_t *compiler_name(void)
{
#if defined(__clang__)
    return json_sprintf("clang %s", __clang_version__);
#else
    return json_sprintf("gcc %s", __VERSION__);
#endif
}

struct results *results_create(const char *options, bool quick)
{
    struct results *results = malloc(sizeof(*results));

    if (results == NULL)
        bench_fail("no memory for the results");
    results->list = json_array();
    results->machine = json_object();
    json_object_set_new(results->machine, "machine", machine_name());
    json_object_set_new(results->machine, "cpu", cpu_name());
    json_object_set_new(results->machine, "cores", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
    json_object_set_new(results->machine, "compiler", compiler_name());
    json_object_set_new(results->machine, "klane", json_string(klane_version()));
    json_object_set_new(results->machine, "options", json_string(options));
    json_object_set_new(results->machine, "quick", json_boolean(quick));
    return results;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

static double median(const double *sorted, uint32_t count)
{
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

static json_t *settings_of(const struct results *results, const struct bench_result *result)
{
    json_t *settings = json_copy(results->machine);

    for (uint32_t i = 0; i < result->setting_count; i++) {
        const struct bench_setting *setting = &result->settings[i];

        json_object_set_new(settings, setting->name,
                            setting->text[0] != '\0' ? json_string(setting->text)
                                                     : json_integer(setting->count));
    }
    return settings;
}

static json_t *curves_of(const struct bench_result *result)
{
    json_t *curves = json_object();

    for (uint32_t i = 0; i < BENCH_CURVES_MAX && result->curves[i].name != NULL; i++) {
        const struct bench_curve *curve = &result->curves[i];
        json_t *points = json_array();

        for (uint32_t k = 0; k < curve->count; k++)
            json_array_append_new(points,
                                  json_pack("[f,f]", curve->points[k][0], curve->points[k][1]));
        json_object_set_new(curves, curve->name, points);
    }
    return curves;
}

static json_t *target_of(const struct bench_case *benchmark, const char *arm, const char *metric)
{
    for (const struct bench_target *target = benchmark->targets; target->arm != NULL; target++)
        if (strcmp(target->arm, arm) == 0 && strcmp(target->metric, metric) == 0)
            return json_real(target->value);
    return json_null();
}

static void series_append(struct results *results, const struct bench_case *benchmark,
                          const char *arm, const struct bench_series *series, json_t *settings,
                          json_t *curves)
{
    const struct bench_metric *metric = bench_metric_find(series->metric);
    json_t *object = json_object(), *values = json_array();
    double sorted[BENCH_ROUNDS_MAX];

    memcpy(sorted, series->values, sizeof(sorted));
    qsort(sorted, series->count, sizeof(sorted[0]), compare);
    for (uint32_t i = 0; i < series->count; i++)
        json_array_append_new(values, json_real(series->values[i]));
    json_object_set_new(object, "case", json_string(benchmark->name));
    json_object_set_new(object, "arm", json_string(arm));
    json_object_set_new(object, "metric", json_string(metric->name));
    json_object_set_new(object, "unit", json_string(metric->unit));
    json_object_set_new(object, "min", json_real(sorted[0]));
    json_object_set_new(object, "median", json_real(median(sorted, series->count)));
    json_object_set_new(object, "max", json_real(sorted[series->count - 1]));
    json_object_set_new(object, "runs", json_integer(series->count));
    json_object_set_new(object, "values", values);
    json_object_set_new(object, "better", json_string(metric->more_is_better ? "more" : "less"));
    json_object_set_new(object, "target", target_of(benchmark, arm, metric->name));
    json_object_set_new(object, "what", json_string(benchmark->what));
    json_object_set(object, "settings", settings);
    if (json_object_size(curves) > 0)
        json_object_set(object, "series", curves);
    json_array_append_new(results->list, object);
}

static void left_out_append(struct results *results, const struct bench_case *benchmark,
                            const char *arm, const char *reason)
{
    json_t *object = json_object();

    json_object_set_new(object, "case", json_string(benchmark->name));
    json_object_set_new(object, "arm", json_string(arm));
    json_object_set_new(object, "left_out", json_string(reason));
    json_object_set_new(object, "what", json_string(benchmark->what));
    json_object_set(object, "settings", results->machine);
    json_array_append_new(results->list, object);
}

void results_add(struct results *results, const struct bench_case *benchmark, uint32_t rounds,
                 const struct bench_outcome *outcome)
{
    json_object_set_new(results->machine, "rounds", json_integer(rounds));
    for (uint32_t i = 0; benchmark->arms[i].name != NULL; i++) {
        const struct bench_arm_outcome *arm = &outcome->arms[i];
        json_t *settings, *curves;

        if (arm->reason[0] != '\0') {
            left_out_append(results, benchmark, benchmark->arms[i].name, arm->reason);
            continue;
        }
        settings = settings_of(results, &arm->last);
        curves = curves_of(&arm->last);
        for (uint32_t k = 0; k < arm->series_count; k++)
            series_append(results, benchmark, benchmark->arms[i].name, &arm->series[k], settings,
                          curves);
        json_decref(settings);
        json_decref(curves);
    }
}

bool results_write(const struct results *results, const char *path)
{
    return json_dump_file(results->list, path,
                          JSON_INDENT(2) | JSON_REAL_PRECISION(6) | JSON_PRESERVE_ORDER) == 0;
}

void results_destroy(struct results *results)
{
    json_decref(results->list);
    json_decref(results->machine);
    free(results);
}
