// SPDX-License-Identifier: Apache-2.0
package klane.bench;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.errors.WakeupException;

/** Kafka's own consumer: one thread that polls and handles, and commits as it does by default. */
final class ConsumerArm extends Arm {
    private static final Duration WAIT = Duration.ofMillis(100);

    private KafkaConsumer<byte[], byte[]> consumer;
    private Thread thread;
    private volatile Throwable failure;

    ConsumerArm(String bootstrap, String topic, Map<String, String> settings,
            Runnable onAssigned) {
        super(bootstrap, topic, settings, onAssigned);
    }

    @Override
    void start(String group, Handler handler) {
        consumer = consumer(group, Map.of());
        thread = new Thread(() -> consume(handler), "consumer");
        thread.setDaemon(true);
        thread.start();
    }

    private void consume(Handler handler) {
        try {
            consumer.subscribe(List.of(topic()), listener());
            while (true) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(WAIT)) {
                    handler.handle(record);
                }
            }
        } catch (WakeupException e) {
            consumer.close();
        } catch (RuntimeException | Error e) {
            failure = e;
        }
    }

    @Override
    void check() {
        if (failure != null) {
            throw new IllegalStateException(failure);
        }
    }

    @Override
    void stop() {
        consumer.wakeup();
        try {
            thread.join();
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    @Override
    void reportSettings() {
        // Beside what every arm reports there is none.
    }
}
