/* SPDX-License-Identifier: Apache-2.0 */
/* The property of the heap: it agrees with an array of values. Shared by the program
 * that checks it and by the canary, whose model is wrong. */
#ifndef KLANE_TESTS_PROPERTY_HEAP_PROPERTY_H
#define KLANE_TESTS_PROPERTY_HEAP_PROPERTY_H

#include "lib/check.h"

/* model_error is added to the least value that the model expects: 0 for a right model. */
void heap_agrees_with_an_array(int64_t model_error);

#endif
