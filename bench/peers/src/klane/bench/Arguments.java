// SPDX-License-Identifier: Apache-2.0
package klane.bench;

import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;

/** What the arm is told: NAME=VALUE on its command line. What it never asks for is refused. */
final class Arguments {
    private final Map<String, String> values = new HashMap<>();

    Arguments(String[] words, int from) {
        for (int i = from; i < words.length; i++) {
            String[] pair = words[i].split("=", 2);
            if (pair.length < 2) {
                throw new IllegalArgumentException("not NAME=VALUE: " + words[i]);
            }
            values.put(pair[0], pair[1]);
        }
    }

    String text(String name, String otherwise) {
        String value = values.remove(name);
        return value == null ? otherwise : value;
    }

    String text(String name) {
        String value = values.remove(name);
        if (value == null) {
            throw new IllegalArgumentException(name + " is missing");
        }
        return value;
    }

    long number(String name, long otherwise) {
        return Long.parseLong(text(name, Long.toString(otherwise)));
    }

    long number(String name) {
        return Long.parseLong(text(name));
    }

    /** All that begin so, without that. */
    Map<String, String> allWith(String prefix) {
        Map<String, String> found = new TreeMap<>();
        values.forEach((name, value) -> {
            if (name.startsWith(prefix)) {
                found.put(name.substring(prefix.length()), value);
            }
        });
        values.keySet().removeIf(name -> name.startsWith(prefix));
        return found;
    }

    void refuseOthers() {
        if (!values.isEmpty()) {
            throw new IllegalArgumentException("unknown: " + values.keySet());
        }
    }
}
