// SPDX-License-Identifier: Apache-2.0
package klane.bench;

import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** One way to consume a topic, as a member of a group of its own, from the beginning on. */
abstract class Arm {
    /** A consumer's configuration beside what every arm has. */
    private final Map<String, String> settings;
    private final String bootstrap;
    private final String topic;
    /** Called when partitions have come: all at once, as the group has one member. */
    private final Runnable onAssigned;

    Arm(String bootstrap, String topic, Map<String, String> settings, Runnable onAssigned) {
        this.bootstrap = bootstrap;
        this.topic = topic;
        this.settings = settings;
        this.onAssigned = onAssigned;
    }

    final String topic() {
        return topic;
    }

    final KafkaConsumer<byte[], byte[]> consumer(String group, Map<String, String> more) {
        Map<String, Object> all = new HashMap<>();
        all.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        all.put(ConsumerConfig.GROUP_ID_CONFIG, group);
        all.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        all.put(ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
        all.put(ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class);
        all.putAll(more);
        all.putAll(settings);
        return new KafkaConsumer<>(all);
    }

    final ConsumerRebalanceListener listener() {
        return new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                // Nobody else wants them.
            }

            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                onAssigned.run();
            }
        };
    }

    /** Begin to consume, in threads of its own. */
    abstract void start(String group, Handler handler);

    /** Throws if it has failed. */
    abstract void check();

    /** Stop without waiting for what is not handled. */
    abstract void stop();

    abstract void reportSettings();
}
