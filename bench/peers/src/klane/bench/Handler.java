// SPDX-License-Identifier: Apache-2.0
package klane.bench;

import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** What becomes of a record in every arm, whoever brings it. */
final class Handler {
    final Passage passage;
    private final Witness witness;
    private final Work work;
    private final boolean isStuck;
    private final Latencies latencies;

    /** isStuck: the first record of key 0 is never finished. witness, latencies: may be null. */
    Handler(Passage passage, Witness witness, Work work, boolean isStuck, Latencies latencies) {
        this.passage = passage;
        this.witness = witness;
        this.work = work;
        this.isStuck = isStuck;
        this.latencies = latencies;
    }

    void handle(ConsumerRecord<byte[], byte[]> record) {
        Stamp stamp = new Stamp(record);
        try {
            if (latencies != null) {
                latencies.add(System.nanoTime() - stamp.dueNs);
            }
            if (witness != null) {
                witness.begin(stamp);
            }
            if (isStuck && stamp.key == 0 && stamp.sequence == 0) {
                new CountDownLatch(1).await();
            }
            passage.begin();
            work.run();
            if (witness == null || witness.end(stamp)) {
                passage.end();
            }
        } catch (InterruptedException e) {
            throw new IllegalStateException("a handler was interrupted", e);
        }
    }
}
