// SPDX-License-Identifier: Apache-2.0
package klane.bench;

import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerConfig;

/** Confluent's Parallel Consumer with its pool of threads, in order by key. */
final class ParallelArm extends Arm {
    private final int threads;
    /** 0: as by default. */
    private final long commitMs;
    private ParallelConsumerOptions<byte[], byte[]> options;
    private ParallelStreamProcessor<byte[], byte[]> processor;

    ParallelArm(String bootstrap, String topic, Map<String, String> settings, Runnable onAssigned,
            int threads, long commitMs) {
        super(bootstrap, topic, settings, onAssigned);
        this.threads = threads;
        this.commitMs = commitMs;
    }

    @Override
    void start(String group, Handler handler) {
        // It commits by itself, and refuses a consumer that does so, too.
        var byItself = Map.of(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, "false");
        var builder = ParallelConsumerOptions.<byte[], byte[]>builder()
                .consumer(consumer(group, byItself))
                .ordering(ProcessingOrder.KEY)
                .maxConcurrency(threads);
        if (commitMs > 0) {
            builder.commitInterval(Duration.ofMillis(commitMs));
        }
        options = builder.build();
        processor = ParallelStreamProcessor.createEosStreamProcessor(options);
        processor.subscribe(List.of(topic()), listener());
        processor.poll(context -> handler.handle(context.getSingleConsumerRecord()));
    }

    @Override
    void check() {
        if (processor.isClosedOrFailed()) {
            throw new IllegalStateException("the parallel consumer has closed or failed");
        }
    }

    @Override
    void stop() {
        processor.closeDontDrainFirst();
    }

    @Override
    void reportSettings() {
        Report.setting("parallel_consumer", Main.version(ParallelStreamProcessor.class));
        Report.setting("ordering", options.getOrdering());
        Report.setting("max_concurrency", options.getMaxConcurrency());
        Report.setting("commit_interval_ms", options.getCommitInterval().toMillis());
        Report.setting("commit_mode", options.getCommitMode());
    }
}
