/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters: what every place for them has in common. A kind of log brings the place itself.
 *
 * Upholds: a dead letter counts as kept when the log has acknowledged it, and not before. */
#ifndef KLANE_SOURCE_LETTERS_H
#define KLANE_SOURCE_LETTERS_H

#include <klane/klane.h>

struct klane_letters_ops {
    /* On a handler's thread: append the record with these headers. DONE: it is kept; LATER, by
     * klane_later(); or RETRY. Headers and their texts are gone on return. */
    enum klane_outcome (*send)(struct klane_letters *letters, const struct klane_record *record,
                               const struct klane_header_in *headers, size_t count);
    /* NULL: nothing is ever on its way. */
    void (*stop)(struct klane_letters *letters);
    void (*destroy)(struct klane_letters *letters);
};

/* Begins every place. */
struct klane_letters {
    const struct klane_letters_ops *ops;
};

#endif
