// SPDX-License-Identifier: Apache-2.0
package klane.bench;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;

/**
 * The witness of lib/witness.h, which is in a file that the arm maps as well: what begins and ends
 * here is noted in the same words, by the same rules, as in the arms that are written in C.
 */
final class Witness {
    private static final VarHandle LONG =
            MethodHandles.byteBufferViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final int RECORDS = 0;
    private static final int KEYS = 8;
    private static final int DISORDER = 24;
    private static final int REPEATS = 32;
    private static final int ENDED = 56;
    private static final int RUNS_BITS = 16;
    private static final long RUNS = (1L << RUNS_BITS) - 1;

    private final MappedByteBuffer memory;
    private final int records;
    private final int keys;
    private final int lanes;

    Witness(String path) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(path, "rw")) {
            memory = file.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, file.length());
        }
        records = (int) get(RECORDS);
        keys = (int) get(KEYS);
        lanes = ENDED + words() * Long.BYTES;
    }

    private int words() {
        return (records + Long.SIZE - 1) / Long.SIZE;
    }

    private long get(int at) {
        return (long) LONG.getVolatile(memory, at);
    }

    private int lane(Stamp stamp) {
        if (stamp.key < 0 || stamp.key >= keys || stamp.number < 0 || stamp.number >= records) {
            throw new IllegalStateException("a record that nobody has produced: " + stamp.key);
        }
        return lanes + stamp.key * Long.BYTES;
    }

    void begin(Stamp stamp) {
        long lane = (long) LONG.getAndAdd(memory, lane(stamp), 1L);
        boolean isAlone = (lane & RUNS) == 0;
        if ((!isAlone || stamp.sequence < lane >>> RUNS_BITS) && !hasEnded(stamp)) {
            LONG.getAndAdd(memory, DISORDER, 1L);
        }
    }

    private static int word(Stamp stamp) {
        return ENDED + (int) (stamp.number / Long.SIZE) * Long.BYTES;
    }

    private boolean hasEnded(Stamp stamp) {
        return (get(word(stamp)) >>> stamp.number & 1) != 0;
    }

    /** True: for the first time. */
    boolean end(Stamp stamp) {
        int lane = lane(stamp);
        long next = (stamp.sequence + 1) << RUNS_BITS;
        long before;
        long after;
        do {
            before = get(lane);
            after = before < next ? next | before & RUNS : before;
        } while (!LONG.compareAndSet(memory, lane, before, after - 1));
        long bit = 1L << stamp.number;
        boolean isNew = ((long) LONG.getAndBitwiseOr(memory, word(stamp), bit) & bit) == 0;
        if (!isNew) {
            LONG.getAndAdd(memory, REPEATS, 1L);
        }
        return isNew;
    }

    /** Whether all records have ended. */
    boolean isComplete() {
        long ended = 0;
        for (int i = 0; i < words(); i++) {
            ended += Long.bitCount(get(ENDED + i * Long.BYTES));
        }
        return ended == records;
    }
}
