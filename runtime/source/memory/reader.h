/* SPDX-License-Identifier: Apache-2.0 */
/* The control thread's side of the memory source: reader.c offers records, group.c has the
 * assignments and the commits, sweep.c the passes. All of it is called by the control thread
 * only. */
#ifndef KLANE_SOURCE_MEMORY_READER_H
#define KLANE_SOURCE_MEMORY_READER_H

#include "source/memory/memory.h"

/* ---- reader.c ---------------------------------------------------------------------------- */

/* From here on news are announced again; those from before are seen by the caller (E1). */
void reader_announcement_clear(struct memory_announcement *announcement);

/* Takes the mail of records, if nobody has it. */
void reader_mail_take(struct memory_partition *partition);

/* A partition whose mail the reader has: into the queue if there is more to read, else its end
 * is told and its mail given back. */
void reader_settle(struct memory_source *memory, struct memory_partition *partition);

/* ---- group.c ----------------------------------------------------------------------------- */

/* Look at the next poll whether the partition has to be assigned. */
void group_due(struct memory_source *memory, struct memory_partition *partition);

/* Assign those that are due, as far as the intake takes them. */
void group_assign(struct memory_source *memory);

/* Takes the partition away, if it was taken away since the last look, and has it assigned again
 * if it was given back. */
void group_obey(struct memory_source *memory, struct memory_partition *partition);

/* The partition's assignment is over: nothing of it is offered from here on. */
void group_leave(struct memory_source *memory, struct memory_partition *partition);

/* ---- sweep.c ----------------------------------------------------------------------------- */

/* klane_source_ops.sweep and poll_sweeps. */
void sweep_begin(struct klane_source *source, void *own, int64_t offset);
size_t sweep_poll(struct klane_source *source, size_t records_max);

/* The partition's pass is over, if it has one. */
void sweep_end(struct memory_source *memory, struct memory_partition *partition);

/* ---- group.c: commits -------------------------------------------------------------------- */

/* klane_source_ops.commit. */
void group_commit(struct klane_source *source, const struct source_commit *commits, size_t count);

/* The answer to the last commit, if one is due. */
void group_commit_answer(struct memory_source *memory);

#endif
