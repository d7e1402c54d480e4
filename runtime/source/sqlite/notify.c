/* SPDX-License-Identifier: Apache-2.0 */
/* The readers of this process, in one list. A child after fork() that inherits entries cannot open
 * any log (source/sqlite/database.c), so it never comes here. */
#include "source/sqlite/notify.h"

#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct notify_reader *readers; /* under the mutex */

void notify_add(struct notify_reader *reader)
{
    pthread_mutex_lock(&mutex);
    reader->next = readers;
    reader->link = &readers;
    if (readers != NULL)
        readers->link = &reader->next;
    readers = reader;
    pthread_mutex_unlock(&mutex);
}

void notify_remove(struct notify_reader *reader)
{
    pthread_mutex_lock(&mutex);
    if (reader->link != NULL) {
        *reader->link = reader->next;
        if (reader->next != NULL)
            reader->next->link = reader->link;
        reader->link = NULL;
    }
    pthread_mutex_unlock(&mutex);
}

void notify_readers(dev_t device, ino_t inode)
{
    pthread_mutex_lock(&mutex);
    for (struct notify_reader *reader = readers; reader != NULL; reader = reader->next)
        if (reader->device == device && reader->inode == inode)
            helper_nudge(reader->helper);
    pthread_mutex_unlock(&mutex);
}
