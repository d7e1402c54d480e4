/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/witness.h"

#include <sys/mman.h>
#include <unistd.h>

static uint64_t words_of(uint64_t records)
{
    return (records + 63) / 64;
}

struct witness *witness_create(uint64_t records, uint64_t keys, bool is_shared)
{
    struct witness *witness;
    size_t size = sizeof(*witness) + (words_of(records) + keys) * sizeof(uint64_t);
    int file = memfd_create("witness", 0);

    if (file < 0 || ftruncate(file, (off_t)size) != 0)
        bench_fail("no memory for the witness");
    witness = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (witness == MAP_FAILED)
        bench_fail("no memory for the witness");
    witness->file = file;
    witness->records = records;
    witness->keys = keys;
    witness->is_shared = is_shared;
    witness->ended = (_Atomic uint64_t *)(witness + 1);
    witness->lanes = witness->ended + words_of(records);
    return witness;
}

void witness_restart(struct witness *witness)
{
    for (uint64_t i = 0; i < witness->keys; i++)
        atomic_fetch_and_explicit(&witness->lanes[i], ~WITNESS_RUNS_MASK, memory_order_relaxed);
}

uint64_t witness_ended(const struct witness *witness)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < words_of(witness->records); i++)
        count += (uint64_t)__builtin_popcountll(
            atomic_load_explicit(&witness->ended[i], memory_order_relaxed));
    return count;
}

void witness_refuse(uint64_t key, const struct stamp *stamp)
{
    bench_fail("a record that nobody has produced: key %llu, number %llu",
               (unsigned long long)key, (unsigned long long)stamp->number);
}

void witness_report_order(const struct witness *witness, struct bench_run *run, uint64_t lost,
                          unsigned promises)
{
    uint64_t disorder = atomic_load_explicit(&witness->disorder, memory_order_relaxed);

    if ((promises & WITNESS_ORDER) != 0 && disorder > 0)
        bench_fail("%llu records out of order", (unsigned long long)disorder);
    if ((promises & WITNESS_NO_LOSS) != 0 && lost > 0)
        bench_fail("%llu records lost", (unsigned long long)lost);
    bench_figure(run, "disorder", (double)disorder);
    bench_figure(run, "lost", (double)lost);
}

void witness_report(const struct witness *witness, struct bench_run *run, uint64_t lost,
                    unsigned promises)
{
    uint64_t repeats = atomic_load_explicit(&witness->repeats, memory_order_relaxed);

    witness_report_order(witness, run, lost, promises);
    bench_figure(run, "repeats", (double)repeats);
}
