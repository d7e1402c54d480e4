// SPDX-License-Identifier: Apache-2.0
package klane.bench;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Which record it is: the key as cluster_key() writes it, the rest as lib/witness.h has it. */
final class Stamp {
    private static final VarHandle LONG =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    final int key;
    final long sequence;
    final long dueNs;
    final long number;

    Stamp(ConsumerRecord<byte[], byte[]> record) {
        byte[] value = record.value();
        int digits = 0;
        for (byte digit : record.key()) {
            digits = digits << 4 | (digit <= '9' ? digit - '0' : digit - 'a' + 10);
        }
        key = digits;
        sequence = (long) LONG.get(value, 0);
        dueNs = (long) LONG.get(value, 8);
        number = (long) LONG.get(value, 16);
    }
}
