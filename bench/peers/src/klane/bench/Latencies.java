// SPDX-License-Identifier: Apache-2.0
package klane.bench;

import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;

/** Every latency, exactly; the first ones are not counted. */
final class Latencies {
    private final int skipped;
    private final long[] values;
    private final AtomicInteger next = new AtomicInteger();

    Latencies(int records, int skipped) {
        this.skipped = skipped;
        values = new long[records];
    }

    void add(long ns) {
        int index = next.getAndIncrement();
        if (index < values.length) {
            values[index] = Math.max(0, ns);
        }
    }

    private static double quantileUs(long[] sorted, double share) {
        int index = (int) Math.ceil(share * sorted.length) - 1;
        return sorted[Math.max(0, index)] / 1000.0;
    }

    void report() {
        long[] sorted = Arrays.copyOfRange(values, skipped, Math.min(next.get(), values.length));
        long[] counts = new long[Long.SIZE];
        Arrays.sort(sorted);
        Report.figure("p50", quantileUs(sorted, 0.5));
        Report.figure("p90", quantileUs(sorted, 0.9));
        Report.figure("p99", quantileUs(sorted, 0.99));
        Report.figure("p999", quantileUs(sorted, 0.999));
        Report.figure("p9999", quantileUs(sorted, 0.9999));
        Report.figure("max", quantileUs(sorted, 1));
        for (long ns : sorted) {
            counts[Long.SIZE - Long.numberOfLeadingZeros(ns / 1000)]++;
        }
        for (int i = 0; i < counts.length; i++) {
            if (counts[i] > 0) {
                Report.point("histogram", Math.pow(2, i), counts[i]);
            }
        }
    }
}
