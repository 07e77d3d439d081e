// A layer over SQLite's VFS that gathers what is written to journals: see doc.go for why.

#include "journals_linux.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// The parts of sqlite3.h that are needed. The functions are weak, since the trial link of this package alone
// has none.
#define SQLITE_OK 0
#define SQLITE_OPEN_MAIN_JOURNAL 0x00000800
#define SQLITE_OPEN_WAL 0x00080000

struct io_methods;
struct sqlite3_file {
    const struct io_methods *methods; // NULL: not open
};
struct io_methods {
    int version; // 1: without what databases have
    int (*close)(struct sqlite3_file *);
    int (*read)(struct sqlite3_file *, void *data, int size, int64_t offset);
    int (*write)(struct sqlite3_file *, const void *data, int size, int64_t offset);
    int (*truncate)(struct sqlite3_file *, int64_t size);
    int (*sync)(struct sqlite3_file *, int flags);
    int (*file_size)(struct sqlite3_file *, int64_t *size);
    int (*lock)(struct sqlite3_file *, int level);
    int (*unlock)(struct sqlite3_file *, int level);
    int (*check_reserved_lock)(struct sqlite3_file *, int *is_locked);
    int (*file_control)(struct sqlite3_file *, int operation, void *argument);
    int (*sector_size)(struct sqlite3_file *);
    int (*device_characteristics)(struct sqlite3_file *);
};
struct sqlite3_vfs {
    int version;
    int file_size; // of the struct that a file takes
    int max_path_name;
    struct sqlite3_vfs *next;
    const char *name;
    void *data;
    int (*open)(struct sqlite3_vfs *, const char *name, struct sqlite3_file *, int flags, int *out_flags);
    void (*others[12])(void); // xDelete to xCurrentTimeInt64, which have no use for files
    void (*system_calls[3])(void);
};
extern struct sqlite3_vfs *sqlite3_vfs_find(const char *name) __attribute__((weak));
extern int sqlite3_vfs_register(struct sqlite3_vfs *, int make_default) __attribute__((weak));

// CAPACITY is how much of a journal is kept: what a commit of fifteen pages takes.
#define CAPACITY (64 << 10)

// A log is made longer than it needs to be by its own length, but by MOST_ROOM at most, in steps of ROOM: SQLite
// writes less than 128 KiB at once.
#define ROOM (64 << 10)
#define MOST_ROOM (1 << 20)

// A rollback journal or a write-ahead log. The file of the VFS below lies behind it in memory.
struct journal {
    struct sqlite3_file file;
    bool is_log;
    char *kept; // NULL until something is written
    int size;
    int64_t offset; // of what is kept, in the file
    int64_t length; // of a log's file, when it was last looked at or made longer
};

#define JOURNAL_SIZE ((int)(sizeof(struct journal) + 7) & ~7)

static struct sqlite3_file *below(struct journal *journal)
{
    return (struct sqlite3_file *)((char *)journal + JOURNAL_SIZE);
}

// make_room has a log's file grow in large steps, by zeros, which to SQLite are the log's end. A sync has to wait for
// the file system's journal whenever the file became longer, twice as long as for what is written over. Only who writes
// the log comes here, and only what lies behind the end of its file is written: where that fails, nothing is lost.
static void make_room(struct journal *journal, int64_t end)
{
    static const char zeros[ROOM];
    struct sqlite3_file *file = below(journal);
    if (end <= journal->length || file->methods->file_size(file, &journal->length) != SQLITE_OK ||
        end < journal->length)
        return;
    int64_t enough = end + (end < MOST_ROOM ? end : MOST_ROOM);
    for (journal->length = end; journal->length < enough; journal->length += ROOM)
        if (file->methods->write(file, zeros, ROOM, journal->length) != SQLITE_OK)
            return;
}

// hand_down writes what is kept. Where that fails, a log loses it: SQLite gives the commit up, and another
// process may come to write to that place. SQLite may still ask a rollback journal for it, to undo
// a statement, and must not be told that it isn't there.
static int hand_down(struct journal *journal)
{
    if (journal->size == 0)
        return SQLITE_OK;
    struct sqlite3_file *file = below(journal);
    int result = file->methods->write(file, journal->kept, journal->size, journal->offset);
    if (result == SQLITE_OK && journal->is_log)
        make_room(journal, journal->offset + journal->size);
    if (result == SQLITE_OK || journal->is_log)
        journal->size = 0;
    return result;
}

static int journal_write(struct sqlite3_file *file, const void *data, int size, int64_t offset)
{
    struct journal *journal = (struct journal *)file;
    if (journal->size > 0 && (offset != journal->offset + journal->size || journal->size + size > CAPACITY)) {
        int result = hand_down(journal);
        if (result != SQLITE_OK)
            return result;
    }
    if (journal->kept == NULL)
        journal->kept = malloc(CAPACITY);
    if (journal->kept == NULL || size > CAPACITY)
        return below(journal)->methods->write(below(journal), data, size, offset);

    if (journal->size == 0)
        journal->offset = offset;
    memcpy(journal->kept + journal->size, data, size);
    journal->size += size;
    return SQLITE_OK;
}

static int journal_read(struct sqlite3_file *file, void *data, int size, int64_t offset)
{
    struct journal *journal = (struct journal *)file;
    int result = hand_down(journal);
    return result != SQLITE_OK ? result : below(journal)->methods->read(below(journal), data, size, offset);
}

static int journal_truncate(struct sqlite3_file *file, int64_t size)
{
    struct journal *journal = (struct journal *)file;
    int result = hand_down(journal);
    journal->length = 0;
    return result != SQLITE_OK ? result : below(journal)->methods->truncate(below(journal), size);
}

static int journal_sync(struct sqlite3_file *file, int flags)
{
    struct journal *journal = (struct journal *)file;
    int result = hand_down(journal);
    return result != SQLITE_OK ? result : below(journal)->methods->sync(below(journal), flags);
}

static int journal_file_size(struct sqlite3_file *file, int64_t *size)
{
    struct journal *journal = (struct journal *)file;
    int result = hand_down(journal);
    return result != SQLITE_OK ? result : below(journal)->methods->file_size(below(journal), size);
}

// journal_close writes what is kept if it can: nobody waits for it, since it was never synced.
static int journal_close(struct sqlite3_file *file)
{
    struct journal *journal = (struct journal *)file;
    hand_down(journal);
    free(journal->kept);
    return below(journal)->methods->close(below(journal));
}

static int journal_lock(struct sqlite3_file *file, int level)
{
    struct sqlite3_file *lower = below((struct journal *)file);
    return lower->methods->lock(lower, level);
}

static int journal_unlock(struct sqlite3_file *file, int level)
{
    struct sqlite3_file *lower = below((struct journal *)file);
    return lower->methods->unlock(lower, level);
}

static int journal_check_reserved_lock(struct sqlite3_file *file, int *is_locked)
{
    struct sqlite3_file *lower = below((struct journal *)file);
    return lower->methods->check_reserved_lock(lower, is_locked);
}

static int journal_file_control(struct sqlite3_file *file, int operation, void *argument)
{
    struct sqlite3_file *lower = below((struct journal *)file);
    return lower->methods->file_control(lower, operation, argument);
}

static int journal_sector_size(struct sqlite3_file *file)
{
    struct sqlite3_file *lower = below((struct journal *)file);
    return lower->methods->sector_size(lower);
}

static int journal_device_characteristics(struct sqlite3_file *file)
{
    struct sqlite3_file *lower = below((struct journal *)file);
    return lower->methods->device_characteristics(lower);
}

static const struct io_methods journal_methods = {
    .version = 1,
    .close = journal_close,
    .read = journal_read,
    .write = journal_write,
    .truncate = journal_truncate,
    .sync = journal_sync,
    .file_size = journal_file_size,
    .lock = journal_lock,
    .unlock = journal_unlock,
    .check_reserved_lock = journal_check_reserved_lock,
    .file_control = journal_file_control,
    .sector_size = journal_sector_size,
    .device_characteristics = journal_device_characteristics,
};

static struct sqlite3_vfs *system_vfs;

static int open_file(
    struct sqlite3_vfs *vfs, const char *name, struct sqlite3_file *file, int flags, int *out_flags)
{
    (void)vfs;
    if (!(flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)))
        return system_vfs->open(system_vfs, name, file, flags, out_flags);

    struct journal *journal = (struct journal *)file;
    *journal = (struct journal){.is_log = flags & SQLITE_OPEN_WAL};
    int result = system_vfs->open(system_vfs, name, below(journal), flags, out_flags);
    if (result == SQLITE_OK)
        journal->file.methods = &journal_methods;
    return result;
}

const char *journals_register(void)
{
    static struct sqlite3_vfs vfs;
    system_vfs = sqlite3_vfs_find != NULL ? sqlite3_vfs_find("unix") : NULL;
    if (system_vfs == NULL || system_vfs->version < 3)
        return NULL;
    vfs = *system_vfs;
    vfs.version = 2; // system calls are the lower one's
    vfs.file_size += JOURNAL_SIZE;
    vfs.next = NULL;
    vfs.name = "mlflow";
    vfs.open = open_file;
    return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK ? vfs.name : NULL;
}
