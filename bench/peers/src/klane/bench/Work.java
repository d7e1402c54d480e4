// SPDX-License-Identifier: Apache-2.0
package klane.bench;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;

/** What a handler does: nothing, sleep, or use the processor. */
interface Work {
    void run() throws InterruptedException;

    static Work of(String handler, long amount) {
        switch (handler) {
            case "none":
                return () -> { };
            case "sleep":
                // In ms. Of what Java has it is nearest to nanosleep(): as late as that, by 0.1
                // to 0.2 ms, and never early, which LockSupport.parkNanos() may be.
                return () -> Thread.sleep(amount);
            case "cpu":
                // In us, of the processor time of the thread.
                return () -> spin(amount * 1000);
            default:
                throw new IllegalArgumentException("no such handler: " + handler);
        }
    }

    private static void spin(long ns) {
        ThreadMXBean threads = ManagementFactory.getThreadMXBean();
        long end = threads.getCurrentThreadCpuTime() + ns;
        while (threads.getCurrentThreadCpuTime() < end) {
            Thread.onSpinWait();
        }
    }
}
