/* SPDX-License-Identifier: Apache-2.0 */
/* What different threads write stands in different cache lines: else each write takes from the
 * other thread what it is about to read. */
#ifndef KLANE_BASE_CACHE_LINE_H
#define KLANE_BASE_CACHE_LINE_H

#define CACHE_LINE 64

#endif
