/* SPDX-License-Identifier: Apache-2.0 */
/* Every case, by family; each list ends with a case without a name. */
#ifndef KLANE_BENCH_CASES_CASES_H
#define KLANE_BENCH_CASES_CASES_H

#include "lib/harness.h"

extern const struct bench_case dispatch_cases[];
extern const struct bench_case schedule_cases[];
extern const struct bench_case order_cases[];
extern const struct bench_case isolation_cases[];
extern const struct bench_case all_stuck_cases[];
extern const struct bench_case outage_cases[];
extern const struct bench_case poison_cases[];
extern const struct bench_case later_cases[];
extern const struct bench_case memory_cases[];
extern const struct bench_case weight_cases[];
extern const struct bench_case batch_cases[];
extern const struct bench_case scale_cases[];
#ifdef BENCH_SQLITE
extern const struct bench_case blocked_cases[];
extern const struct bench_case catch_up_cases[];
extern const struct bench_case budget_cases[];
extern const struct bench_case log_cases[];
extern const struct bench_case outbox_cases[];
extern const struct bench_case restart_log_cases[];
extern const struct bench_case latency_cases[];
extern const struct bench_case keep_cases[];
extern const struct bench_case together_cases[];
#endif
#ifdef BENCH_KAFKA
extern const struct bench_case kafka_cases[];
#endif

/* cases/chain.c, cases/stages.c: arms of the dispatch cases, made of klane's parts. */
struct dispatch_plan {
    uint64_t records;
    uint64_t records_quick;
    uint64_t keys;
    uint32_t workers;
};

void chain_run(struct bench_run *run);
void stage_source_run(struct bench_run *run);
void stage_copy_run(struct bench_run *run);
void stage_control_run(struct bench_run *run);
void stage_worker_run(struct bench_run *run);

/* peers/memory: arms of the same cases, other dispatchers. */
void asio_run(struct bench_run *run);
void tbb_run(struct bench_run *run);
void tbb_list_run(struct bench_run *run);
void mutex_run(struct bench_run *run);
bool asio_available(char *reason, size_t size);
bool tbb_available(char *reason, size_t size);

#endif
