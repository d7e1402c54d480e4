// SPDX-License-Identifier: Apache-2.0
package klane.bench;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;

/**
 * Records that pass, and the clock: from the first that begins, or from the last of the warm-up,
 * to the last that is counted. So without joining the group, as in the arms written in C.
 */
final class Passage {
    private static final OperatingSystemMXBean SYSTEM =
            ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);

    private final long warmUp;
    private final long records;
    private final AtomicBoolean hasBegun = new AtomicBoolean();
    private final AtomicBoolean hasStopped = new AtomicBoolean();
    private final LongAdder begun = new LongAdder();
    private final AtomicLong passed = new AtomicLong();
    private final CountDownLatch done = new CountDownLatch(1);
    private volatile long wallNs;
    private volatile long cpuNs;
    private long lookedWallNs;
    private long lookedCpuNs;

    Passage(long warmUp, long records) {
        this.warmUp = warmUp;
        this.records = records;
    }

    private void start() {
        cpuNs = SYSTEM.getProcessCpuTime();
        wallNs = System.nanoTime();
    }

    private void stop(long atWallNs, long atCpuNs) {
        if (hasStopped.compareAndSet(false, true)) {
            wallNs = atWallNs - wallNs;
            cpuNs = atCpuNs - cpuNs;
        }
    }

    /** Now is when the clock stops if nothing passes any more. By the one thread that looks on. */
    void look() {
        lookedWallNs = System.nanoTime();
        lookedCpuNs = SYSTEM.getProcessCpuTime();
    }

    void stopAtLook() {
        stop(lookedWallNs, lookedCpuNs);
    }

    void begin() {
        begun.increment();
        if (warmUp == 0 && !hasBegun.get() && hasBegun.compareAndSet(false, true)) {
            start();
        }
    }

    void end() {
        long count = passed.incrementAndGet();
        if (count == warmUp) {
            start();
        }
        if (count == warmUp + records) {
            stop(System.nanoTime(), SYSTEM.getProcessCpuTime());
            done.countDown();
        }
    }

    boolean await(long ms) throws InterruptedException {
        return done.await(ms, TimeUnit.MILLISECONDS);
    }

    /** What has begun so far, repeats included. */
    long begun() {
        return begun.sum();
    }

    /** What has passed so far. */
    long passed() {
        return passed.get();
    }

    void report(long counted) {
        Report.work(counted);
        if (counted > 0) {
            Report.figure("throughput", counted * 1e9 / wallNs);
            Report.figure("cpu", cpuNs * 1e-3 / counted);
        }
    }
}
