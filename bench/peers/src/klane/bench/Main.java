// SPDX-License-Identifier: Apache-2.0
package klane.bench;

import java.io.File;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.KafkaConsumer;

/**
 * One arm, once: Main ARM NAME=VALUE...
 *
 * <p>bootstrap, topic, group; records: to count, after warm_up of them; witness: see Witness;
 * rehearse: so many first, in a group of their own, of which nothing is said, as a Java program is
 * slow until it is compiled; handler, work: see Work; threads, commit_ms: of parallel-consumer;
 * stuck: the first record of key 0 is never finished; seconds: what passes is told, so many at
 * most; latencies_after: the latencies of all records but so many are counted; quiet: it ends when
 * all records have ended and nothing comes any more; consumer.NAME: a setting of Kafka's consumer.
 */
public final class Main {
    /** If nothing passes for so long, something is wrong. */
    private static final int SILENT_SECONDS_MAX = 60;
    private static final int LOOK_MS = 250;
    private static final int QUIET_MS = 1000;
    private static final int QUIET_LOOKS_MAX = 10;

    private final Arguments arguments;
    private final String name;
    private final String bootstrap;
    private final String topic;
    private final String group;
    private final Map<String, String> consumer;
    private final long records;
    private final long warmUp;
    private final int threads;
    private final long commitMs;

    private Main(String[] words) {
        name = words[0];
        arguments = new Arguments(words, 1);
        bootstrap = arguments.text("bootstrap");
        topic = arguments.text("topic");
        group = arguments.text("group");
        consumer = arguments.allWith("consumer.");
        records = arguments.number("records");
        warmUp = arguments.number("warm_up", 0);
        threads = (int) arguments.number("threads", 1);
        commitMs = arguments.number("commit_ms", 0);
    }

    /** As the name of its jar has it. */
    static String version(Class<?> of) {
        String path = of.getProtectionDomain().getCodeSource().getLocation().getPath();
        return new File(path).getName().replaceAll("^[a-z-]*-|\\.jar$", "");
    }

    private Arm arm(Runnable onAssigned) {
        switch (name) {
            case "parallel-consumer":
                return new ParallelArm(bootstrap, topic, consumer, onAssigned, threads, commitMs);
            case "java-consumer":
                return new ConsumerArm(bootstrap, topic, consumer, onAssigned);
            default:
                throw new IllegalArgumentException("no such arm: " + name);
        }
    }

    private void rehearse(long count) throws InterruptedException {
        Handler handler =
                new Handler(new Passage(0, count), null, Work.of("none", 0), false, null);
        Arm arm = arm(() -> { });
        arm.start(group + "-rehearsal", handler);
        awaitAll(arm, handler.passage);
        arm.stop();
        System.gc();
    }

    private static void awaitAll(Arm arm, Passage passage) throws InterruptedException {
        long before = -1;
        for (int silent = 0; !passage.await(1000); silent++) {
            arm.check();
            if (passage.passed() != before) {
                before = passage.passed();
                silent = 0;
            } else if (silent == SILENT_SECONDS_MAX) {
                throw new IllegalStateException("nothing was handled for " + silent
                        + " s, after " + before + " records");
            }
        }
    }

    /** Returns how many have passed when all have, or so many seconds are over. */
    private static long watch(Arm arm, Passage passage, int seconds)
            throws InterruptedException {
        long before = 0;
        boolean isDone = false;
        for (long ms = 0; !isDone && ms < seconds * 1000L; ms += LOOK_MS) {
            isDone = passage.await(LOOK_MS);
            long passed = passage.passed();
            if (passed > before) {
                passage.look();
                before = passed;
            }
            arm.check();
            Report.point("progress", (ms + LOOK_MS) / 1000.0, passed);
        }
        passage.stopAtLook();
        return before;
    }

    /** All have ended and nothing comes again any more; or nothing has come for longer. */
    private static void awaitQuiet(Arm arm, Passage passage, Witness witness)
            throws InterruptedException {
        long before = -1;
        for (int looks = 0; looks < QUIET_LOOKS_MAX; looks++) {
            Thread.sleep(QUIET_MS);
            arm.check();
            long begun = passage.begun();
            if (begun != before) {
                before = begun;
                looks = 0;
            } else if (witness.isComplete()) {
                return;
            }
        }
    }

    private void run() throws Exception {
        long rehearsed = arguments.number("rehearse", 0);
        Work work = Work.of(arguments.text("handler", "none"), arguments.number("work", 0));
        boolean isStuck = arguments.number("stuck", 0) != 0;
        boolean isQuiet = arguments.number("quiet", 0) != 0;
        int seconds = (int) arguments.number("seconds", 0);
        int latenciesAfter = (int) arguments.number("latencies_after", -1);
        Latencies latencies = latenciesAfter < 0 ? null
                : new Latencies((int) records, latenciesAfter);
        Witness witness = new Witness(arguments.text("witness"));
        Passage passage = new Passage(warmUp, records);
        CountDownLatch ready = new CountDownLatch(1);
        arguments.refuseOthers();

        if (rehearsed > 0) {
            rehearse(rehearsed);
        }
        Arm arm = arm(ready::countDown);
        arm.start(group, new Handler(passage, witness, work, isStuck, latencies));
        if (!ready.await(SILENT_SECONDS_MAX, TimeUnit.SECONDS)) {
            arm.check();
            throw new IllegalStateException("no partitions came");
        }
        Report.ready();
        long counted = records;
        if (isQuiet) {
            awaitQuiet(arm, passage, witness);
        } else if (seconds > 0) {
            counted = watch(arm, passage, seconds);
        } else {
            awaitAll(arm, passage);
        }
        if (!isQuiet) {
            passage.report(counted);
        }
        if (latencies != null) {
            latencies.report();
        }
        Report.setting("rehearsed_records", rehearsed);
        reportSettings(arm);
    }

    private void reportSettings(Arm arm) {
        Report.setting("java", System.getProperty("java.version"));
        Report.setting("kafka_clients", version(KafkaConsumer.class));
        Report.setting("heap_bytes", Runtime.getRuntime().maxMemory());
        arm.reportSettings();
        consumer.forEach(Report::setting);
    }

    public static void main(String[] words) {
        try {
            new Main(words).run();
            Report.end();
        } catch (Throwable e) {
            e.printStackTrace();
            Report.fail(e.toString());
        }
        // Handlers that are stuck, and what else still runs, end with it.
        Runtime.getRuntime().halt(0);
    }
}
