/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/disk.h"

#include "lib/check.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FILES_MAX = 16,
    PATH_SIZE = 512,
    SECTOR_BYTES = 512,
    JOURNALS = SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL,
    KINDS = SQLITE_OPEN_MAIN_DB | JOURNALS
};

/* A write, or a truncation, that may not be on the disk yet. */
struct change {
    struct change *next;
    sqlite3_int64 offset; /* of a truncation: the size */
    int size;             /* -1: a truncation */
    unsigned char bytes[];
};

/* A file; there may be several connections to it. One that was deleted, and made anew under the
 * same path before either was synced, stays known as replaced: its path may still lead to it. */
struct file {
    char path[PATH_SIZE]; /* "": free */
    unsigned char *kept;  /* what is on the disk for sure */
    size_t size;
    bool is_kept; /* the file itself is */
    bool is_gone; /* deleted, perhaps only in memory */
    bool is_replaced;
    struct change *first;
    struct change **last;
};

struct handle {
    sqlite3_file base;
    struct file *file; /* NULL: of no interest */
    sqlite3_file *real;
    bool syncs_directory; /* with its first sync, as SQLite does for journals */
};

static struct disk {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    struct file files[FILES_MAX];
    uint64_t cut_after;
    bool is_cut;
    enum disk_operation failing;
    uint64_t fail_after;
    int fail_code;
    bool fails_for_ever;
    bool has_failed;
} disk;

static void must(bool is_right, const char *what)
{
    if (is_right)
        return;
    fprintf(stderr, "disk: %s\n", what);
    abort();
}

/* ---- when it fails ----------------------------------------------------------------------- */

/* SQLITE_OK: this operation works. */
static int failure(enum disk_operation operation)
{
    if (disk.failing != operation || disk.fail_after == 0)
        return SQLITE_OK;
    if (disk.fail_after > 1) {
        disk.fail_after--;
        return SQLITE_OK;
    }
    disk.has_failed = true;
    if (!disk.fails_for_ever)
        disk.fail_after = 0;
    return disk.fail_code;
}

/* Counts an operation that changes the disk. True: the power was cut before it came to its end. */
static bool is_cut_now(void)
{
    if (disk.cut_after > 0 && --disk.cut_after == 0)
        disk.is_cut = true;
    return disk.is_cut;
}

/* ---- what is on the disk ----------------------------------------------------------------- */

static void resize(struct file *file, size_t size)
{
    file->kept = test_realloc(file->kept, size + 1);
    must(file->kept != NULL, "memory");
    if (size > file->size)
        memset(file->kept + file->size, 0, size - file->size);
    file->size = size;
}

static void put(struct file *file, sqlite3_int64 offset, const unsigned char *bytes, size_t size)
{
    if ((size_t)offset + size > file->size)
        resize(file, (size_t)offset + size);
    memcpy(file->kept + offset, bytes, size);
}

static void add_change(struct file *file, sqlite3_int64 offset, const void *bytes, int size)
{
    size_t copied = size < 0 ? 0 : (size_t)size;
    struct change *change = test_malloc(sizeof *change + copied);

    must(change != NULL, "memory");
    *change = (struct change){.offset = offset, .size = size};
    if (copied > 0)
        memcpy(change->bytes, bytes, copied);
    *file->last = change;
    file->last = &change->next;
}

static void drop_changes(struct file *file)
{
    struct change *change;

    while ((change = file->first) != NULL) {
        file->first = change->next;
        test_free(change);
    }
    file->last = &file->first;
}

static struct file *find_file(const char *path, bool is_replaced)
{
    for (struct file *file = disk.files; file < disk.files + FILES_MAX; file++)
        if (strcmp(file->path, path) == 0 && file->is_replaced == is_replaced)
            return file;
    return NULL;
}

static void forget(struct file *file)
{
    drop_changes(file);
    test_free(file->kept);
    memset(file, 0, sizeof *file);
}

/* The directory is synced: what was deleted stays so. */
static void keep_directory(void)
{
    for (struct file *file = disk.files; file < disk.files + FILES_MAX; file++)
        if (file->is_gone || file->is_replaced)
            forget(file);
}

static void keep_all(struct file *file)
{
    for (const struct change *change = file->first; change != NULL; change = change->next)
        if (change->size < 0)
            resize(file, (size_t)change->offset);
        else
            put(file, change->offset, change->bytes, (size_t)change->size);
    drop_changes(file);
    file->is_kept = true;
}

/* One write: every sector by chance, one in eight of them only in part. */
static void keep_some_sectors(struct file *file, const struct change *change, uint64_t *random)
{
    size_t size = (size_t)change->size;

    for (size_t done = 0; done < size;) {
        size_t offset = (size_t)change->offset + done;
        size_t length = SECTOR_BYTES - offset % SECTOR_BYTES;

        if (length > size - done)
            length = size - done;
        if (check_random_below(random, 2) == 0)
            put(file, (sqlite3_int64)offset, change->bytes + done,
                check_random_below(random, 8) == 0 ? check_random_below(random, length) : length);
        done += length;
    }
}

/* Now and then all or nothing of a file comes through: chance alone would seldom do so. */
static void keep_some(struct file *file, uint64_t *random)
{
    uint64_t luck = check_random_below(random, 4);

    for (const struct change *change = file->first; change != NULL; change = change->next) {
        if (luck == 0)
            break;
        if (change->size < 0) {
            if (luck == 1 || check_random_below(random, 2) == 0)
                resize(file, (size_t)change->offset);
        } else if (luck == 1) {
            put(file, change->offset, change->bytes, (size_t)change->size);
        } else {
            keep_some_sectors(file, change, random);
        }
    }
    drop_changes(file);
}

static void write_file(const struct file *file)
{
    FILE *stream = fopen(file->path, "wb");

    must(stream != NULL, "a file could not be opened");
    if (file->size > 0)
        must(fwrite(file->kept, file->size, 1, stream) == 1, "a file could not be written");
    must(fclose(stream) == 0, "a file could not be closed");
}

static void restore(struct file *file, uint64_t *random)
{
    struct file *replaced = find_file(file->path, true);
    struct file *left = file;

    if (file->is_gone ? !file->is_kept : !file->is_kept && check_random_below(random, 2) == 0)
        left = NULL;
    if (file->is_gone && check_random_below(random, 2) == 0)
        left = NULL;
    if (left == NULL && replaced != NULL && check_random_below(random, 2) == 0)
        left = replaced;
    if (left == NULL) {
        unlink(file->path);
        return;
    }
    keep_some(left, random);
    write_file(left);
}

void disk_forget(void)
{
    for (struct file *file = disk.files; file < disk.files + FILES_MAX; file++)
        if (file->path[0] != '\0')
            forget(file);
}

void disk_restore(uint64_t *random)
{
    char path[PATH_SIZE + 8];

    for (struct file *file = disk.files; file < disk.files + FILES_MAX; file++) {
        if (file->path[0] == '\0' || file->is_replaced)
            continue;
        restore(file, random);
        /* The index of a write-ahead log is memory, and is made again. */
        snprintf(path, sizeof path, "%.*s-shm", PATH_SIZE, file->path);
        unlink(path);
    }
    disk_forget();
    disk.is_cut = false;
    disk.cut_after = 0;
}

static void read_file(struct file *file)
{
    FILE *stream = fopen(file->path, "rb");
    unsigned char bytes[4096];
    size_t length;

    file->is_kept = stream != NULL;
    if (stream == NULL)
        return;
    while ((length = fread(bytes, 1, sizeof bytes, stream)) > 0)
        put(file, (sqlite3_int64)file->size, bytes, length);
    fclose(stream);
}

/* What is there when it is first opened is on the disk. */
static struct file *file_of(const char *path)
{
    struct file *file = find_file(path, false);

    if (file != NULL && !file->is_gone)
        return file;
    if (file != NULL && file->is_kept)
        file->is_replaced = true;
    else if (file != NULL)
        forget(file);
    file = find_file("", false);
    must(file != NULL && strlen(path) < PATH_SIZE, "too many files, or a path too long");
    snprintf(file->path, sizeof file->path, "%s", path);
    file->last = &file->first;
    read_file(file);
    return file;
}

/* ---- a file's methods -------------------------------------------------------------------- */

static struct handle *handle_of(sqlite3_file *base)
{
    return (struct handle *)(void *)base;
}

static sqlite3_file *real_of(sqlite3_file *base)
{
    return handle_of(base)->real;
}

static int file_close(sqlite3_file *base)
{
    return real_of(base)->pMethods->xClose(real_of(base));
}

static int file_read(sqlite3_file *base, void *bytes, int size, sqlite3_int64 offset)
{
    int result = failure(DISK_OTHER);

    /* A short read is filled with zeros, as SQLite demands. */
    if (result != SQLITE_OK) {
        memset(bytes, 0, (size_t)size);
        return SQLITE_IOERR_READ;
    }
    return real_of(base)->pMethods->xRead(real_of(base), bytes, size, offset);
}

static int file_write(sqlite3_file *base, const void *bytes, int size, sqlite3_int64 offset)
{
    struct file *file = handle_of(base)->file;
    int result;

    if (disk.is_cut)
        return SQLITE_IOERR_WRITE;
    result = failure(DISK_WRITE);
    if (result != SQLITE_OK)
        return result;
    if (file != NULL) {
        add_change(file, offset, bytes, size);
        if (is_cut_now())
            return SQLITE_IOERR_WRITE;
    }
    return real_of(base)->pMethods->xWrite(real_of(base), bytes, size, offset);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct file *file = handle_of(base)->file;

    if (disk.is_cut || failure(DISK_WRITE) != SQLITE_OK)
        return SQLITE_IOERR_TRUNCATE;
    if (file != NULL) {
        add_change(file, size, NULL, -1);
        if (is_cut_now())
            return SQLITE_IOERR_TRUNCATE;
    }
    return real_of(base)->pMethods->xTruncate(real_of(base), size);
}

/* The files are in memory: there is nothing to wait for. */
static int file_sync(sqlite3_file *base, int flags)
{
    struct file *file = handle_of(base)->file;

    (void)flags;
    if (disk.is_cut || failure(DISK_SYNC) != SQLITE_OK)
        return SQLITE_IOERR_FSYNC;
    if (file == NULL)
        return SQLITE_OK;
    if (is_cut_now())
        return SQLITE_IOERR_FSYNC;
    if (handle_of(base)->syncs_directory)
        keep_directory();
    handle_of(base)->syncs_directory = false;
    keep_all(file);
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size)
{
    if (failure(DISK_OTHER) != SQLITE_OK)
        return SQLITE_IOERR_FSTAT;
    return real_of(base)->pMethods->xFileSize(real_of(base), size);
}

static int file_lock(sqlite3_file *base, int level)
{
    return real_of(base)->pMethods->xLock(real_of(base), level);
}

static int file_unlock(sqlite3_file *base, int level)
{
    return real_of(base)->pMethods->xUnlock(real_of(base), level);
}

static int file_check_lock(sqlite3_file *base, int *result)
{
    return real_of(base)->pMethods->xCheckReservedLock(real_of(base), result);
}

/* The hint that a file will grow would write behind this layer's back. */
static int file_control(sqlite3_file *base, int operation, void *argument)
{
    if (operation == SQLITE_FCNTL_SIZE_HINT || operation == SQLITE_FCNTL_CHUNK_SIZE)
        return SQLITE_OK;
    return real_of(base)->pMethods->xFileControl(real_of(base), operation, argument);
}

static int file_sector_size(sqlite3_file *base)
{
    return real_of(base)->pMethods->xSectorSize(real_of(base));
}

static int file_characteristics(sqlite3_file *base)
{
    return real_of(base)->pMethods->xDeviceCharacteristics(real_of(base));
}

static int file_shm_map(sqlite3_file *base, int region, int size, int extend,
                        void volatile **memory)
{
    if (failure(DISK_OTHER) != SQLITE_OK)
        return SQLITE_IOERR_SHMMAP;
    return real_of(base)->pMethods->xShmMap(real_of(base), region, size, extend, memory);
}

static int file_shm_lock(sqlite3_file *base, int offset, int count, int flags)
{
    return real_of(base)->pMethods->xShmLock(real_of(base), offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *base)
{
    real_of(base)->pMethods->xShmBarrier(real_of(base));
}

static int file_shm_unmap(sqlite3_file *base, int is_deleted)
{
    return real_of(base)->pMethods->xShmUnmap(real_of(base), is_deleted);
}

/* Version 2: without memory mapping, which would pass this layer by. */
static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- the layer --------------------------------------------------------------------------- */

static int disk_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags,
                     int *flags_out)
{
    struct handle *handle = handle_of(base);
    int result = failure(DISK_OTHER);

    (void)vfs;
    base->pMethods = NULL;
    if (disk.is_cut || result != SQLITE_OK)
        return SQLITE_CANTOPEN;
    handle->real = (sqlite3_file *)(void *)(handle + 1);
    handle->file = (flags & KINDS) != 0 && path != NULL ? file_of(path) : NULL;
    handle->syncs_directory = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & JOURNALS) != 0;
    result = disk.real->xOpen(disk.real, path, handle->real, flags, flags_out);
    if (result == SQLITE_OK)
        base->pMethods = &methods;
    return result;
}

static int disk_delete(sqlite3_vfs *vfs, const char *path, int is_synced)
{
    struct file *file = find_file(path, false);

    (void)vfs;
    if (disk.is_cut || failure(DISK_OTHER) != SQLITE_OK || (file != NULL && is_cut_now()))
        return SQLITE_IOERR_DELETE;
    if (file != NULL)
        file->is_gone = true;
    if (is_synced)
        keep_directory();
    return disk.real->xDelete(disk.real, path, is_synced);
}

void disk_install(void)
{
    disk.real = sqlite3_vfs_find(NULL);
    must(disk.real != NULL, "SQLite has no files");
    disk.vfs = *disk.real;
    disk.vfs.zName = "disk";
    disk.vfs.pNext = NULL;
    disk.vfs.szOsFile = (int)sizeof(struct handle) + disk.real->szOsFile;
    disk.vfs.xOpen = disk_open;
    disk.vfs.xDelete = disk_delete;
    must(sqlite3_vfs_register(&disk.vfs, 1) == SQLITE_OK, "it could not be put in place");
}

void disk_cut_after(uint64_t count)
{
    disk.cut_after = count;
}

bool disk_is_cut(void)
{
    return disk.is_cut;
}

void disk_fail(enum disk_operation operation, uint64_t count, int code, bool for_ever)
{
    disk.failing = operation;
    disk.fail_after = count;
    disk.fail_code = code;
    disk.fails_for_ever = for_ever;
    disk.has_failed = false;
}

bool disk_has_failed(void)
{
    return disk.has_failed;
}
