// SPDX-License-Identifier: Apache-2.0
package klane.bench;

/** The lines that lib/peer.c reads from standard output. Without the last the arm has failed. */
final class Report {
    private Report() {
    }

    private static synchronized void line(String line) {
        System.out.println(line);
        System.out.flush();
    }

    /** All partitions are there. */
    static void ready() {
        line("ready");
    }

    static void figure(String metric, double value) {
        line("figure " + metric + " " + value);
    }

    static void setting(String name, Object value) {
        line("setting " + name + " " + value);
    }

    static void work(long records) {
        line("work " + records);
    }

    /** Of the curve `progress` or `histogram`. */
    static void point(String curve, double x, double y) {
        line(curve + " " + x + " " + y);
    }

    static void fail(String why) {
        line("fail " + why.replace('\n', ' '));
    }

    static void end() {
        line("end");
    }
}
