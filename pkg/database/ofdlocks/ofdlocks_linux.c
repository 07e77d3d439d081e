// How SQLite locks, opens, closes and maps files, once install() has run: see doc.go for why.

#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64 // as SQLite is compiled: struct flock must be the same

#include "ofdlocks_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef F_OFD_GETLK // headers older than the kernel's 3.15
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

// Where probe() takes a lock: far from the bytes that SQLite locks, which end below 2^30 + 2^16.
#define PROBE_OFFSET ((off_t)1 << 40)

#define CANTOPEN 14 // SQLITE_CANTOPEN

// A rollback journal whose entry in its folder is on disk. While it is open its inode's number can't
// become another file's.
struct journal {
    int fd; // -1: none
    dev_t device;
    ino_t inode;
};

// A file that SQLite has open or that closed descriptors are kept of.
struct file {
    struct file *next;
    dev_t device;
    ino_t inode;
    int lock_fd; // the descriptor that all of SQLite's locks on the file are taken through
    int users;   // how many descriptors SQLite has open
    struct journal journal;
};

// What is known of a descriptor, by its number.
struct descriptor {
    struct file *file; // NULL: nothing
    int access;        // of open()'s flags
    bool parked;       // closed as far as SQLite knows
};

// The mutex guards all of these, and keeps forks out while a descriptor is neither.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct file *files;
static struct descriptor *descriptors;
static int capacity;

static void enter(void) { pthread_mutex_lock(&mutex); }
static void leave(void) { pthread_mutex_unlock(&mutex); }

static struct descriptor *known(int fd)
{
    return fd >= 0 && fd < capacity && descriptors[fd].file != NULL ? &descriptors[fd] : NULL;
}

// look is fstatat() without times. Once someone has seen a file's times, Linux 6.13 and later give the next
// write one of its own, which fdatasync() puts on the disk: a second wait beside the data's.
static int look(int fd, const char *path, int flags, struct stat *found)
{
    struct statx seen;
    // By number, since it is younger than the C library that wheels are linked with.
    if (syscall(__NR_statx, fd, path, flags, STATX_BASIC_STATS & ~(STATX_ATIME | STATX_MTIME | STATX_CTIME), &seen) != 0)
        return errno == ENOSYS || errno == EPERM ? fstatat(fd, path, found, flags) : -1; // EPERM: old sandboxes
    *found = (struct stat){
        .st_dev = makedev(seen.stx_dev_major, seen.stx_dev_minor),
        .st_ino = seen.stx_ino,
        .st_mode = seen.stx_mode,
        .st_nlink = seen.stx_nlink,
        .st_uid = seen.stx_uid,
        .st_gid = seen.stx_gid,
        .st_rdev = makedev(seen.stx_rdev_major, seen.stx_rdev_minor),
        .st_size = (off_t)seen.stx_size,
        .st_blksize = seen.stx_blksize,
        .st_blocks = (blkcnt_t)seen.stx_blocks,
    };
    return 0;
}

static int stat_path(const char *path, struct stat *found) { return look(AT_FDCWD, path, 0, found); }

static int stat_link(const char *path, struct stat *found)
{
    return look(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, found);
}

static int stat_file(int fd, struct stat *found) { return look(fd, "", AT_EMPTY_PATH, found); }

// give_away is fchown(), which makes a file's inode new even where nothing changes. SQLite calls it for each
// journal that it opens, if root runs it.
static int give_away(int fd, uid_t user, gid_t group)
{
    struct stat found;
    bool has = stat_file(fd, &found) == 0 && found.st_uid == user && found.st_gid == group;
    return has ? 0 : fchown(fd, user, group);
}

static bool is(const struct stat *found, dev_t device, ino_t inode)
{
    return found->st_dev == device && found->st_ino == inode;
}

// is_of says whether the descriptor is still the file's: someone may have closed it behind our back.
static bool is_of(int fd, const struct file *file)
{
    struct stat found;
    return stat_file(fd, &found) == 0 && is(&found, file->device, file->inode);
}

static int set_lock(int fd, short type)
{
    struct flock whole = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &whole);
}

// drop closes a journal's descriptor. There are no locks on journals that could be lost.
static void drop(struct journal *journal)
{
    struct stat found;
    if (journal->fd >= 0 && stat_file(journal->fd, &found) == 0 && is(&found, journal->device, journal->inode))
        close(journal->fd);
    journal->fd = -1;
}

// forget closes a parked descriptor for good.
static void forget(int fd)
{
    if (is_of(fd, descriptors[fd].file))
        close(fd);
    descriptors[fd] = (struct descriptor){0};
}

// sweep closes the parked descriptors of files that nobody has locked: to close one drops all locks
// that the process has on the file, which are those of the other SQLite. Meanwhile our own lock on
// the whole file keeps everyone from taking one; it goes with its descriptor, the last. A file that
// can't be written can't be locked so, and its descriptors stay.
static void sweep(void)
{
    for (struct file **link = &files; *link != NULL;) {
        struct file *file = *link;
        if (file->users > 0 || !is_of(file->lock_fd, file) || set_lock(file->lock_fd, F_WRLCK) != 0) {
            link = &file->next;
            continue;
        }
        for (int fd = 0; fd < capacity; fd++)
            if (descriptors[fd].file == file && fd != file->lock_fd)
                forget(fd);
        forget(file->lock_fd);
        *link = file->next;
        free(file);
    }
}

static bool ends_in(const char *path, const char *suffix)
{
    size_t length = strlen(path), end = strlen(suffix);
    return length > end && strcmp(path + length - end, suffix) == 0;
}

// has_locks says whether SQLite may take locks on what is at the path. It takes none on journals,
// which come and go with each transaction, nor on folders and devices.
static bool has_locks(const char *path)
{
    struct stat found;
    return !ends_in(path, "-journal") && !ends_in(path, "-wal") &&
           (stat_link(path, &found) != 0 || S_ISREG(found.st_mode));
}

static struct file *find(const struct stat *wanted)
{
    for (struct file *file = files; file != NULL; file = file->next)
        if (is(wanted, file->device, file->inode))
            return file;
    return NULL;
}

// unpark looks for a parked descriptor that does for open(). Where access is denied by now, none
// does. The numbers of the standard streams are not for SQLite, which closes them at once.
static int unpark(const char *path, int flags)
{
    struct stat wanted;
    int access = flags & O_ACCMODE;
    int rights = R_OK | (access == O_RDONLY ? 0 : W_OK);
    if ((flags & O_EXCL) || stat_link(path, &wanted) != 0)
        return -1;
    struct file *file = find(&wanted);
    if (file == NULL || faccessat(AT_FDCWD, path, rights, AT_EACCESS) != 0)
        return -1;
    for (int fd = STDERR_FILENO + 1; fd < capacity; fd++) {
        struct descriptor *candidate = &descriptors[fd];
        if (candidate->file == file && candidate->parked && candidate->access == access && is_of(fd, file)) {
            candidate->parked = false;
            file->users++;
            return fd;
        }
    }
    return -1;
}

static bool make_room(int fd)
{
    if (fd < capacity)
        return true;
    int wanted = 2 * fd + 64;
    struct descriptor *more = realloc(descriptors, wanted * sizeof *more);
    if (more == NULL)
        return false;
    memset(more + capacity, 0, (wanted - capacity) * sizeof *more);
    descriptors = more;
    capacity = wanted;
    return true;
}

// adopt notes a descriptor that was just opened. Only one that may write can take all of SQLite's
// locks; it replaces one that may not while there are none.
static bool adopt(int fd, int flags)
{
    struct stat found;
    if (stat_file(fd, &found) != 0)
        return false;
    if (!S_ISREG(found.st_mode))
        return true;
    if (!make_room(fd))
        return false;
    struct file *file = find(&found);
    if (file == NULL) {
        file = calloc(1, sizeof *file);
        if (file == NULL)
            return false;
        *file = (struct file){
            .next = files, .device = found.st_dev, .inode = found.st_ino, .lock_fd = fd, .journal = {.fd = -1}};
        files = file;
    }
    descriptors[fd] = (struct descriptor){.file = file, .access = flags & O_ACCMODE};
    if (file->users == 0 && descriptors[fd].access == O_RDWR && descriptors[file->lock_fd].access != O_RDWR)
        file->lock_fd = fd;
    file->users++;
    return true;
}

static int open_file(const char *path, int flags, int mode)
{
    if (!has_locks(path))
        return open(path, flags, mode);
    enter();
    sweep();
    int fd = unpark(path, flags);
    if (fd < 0) {
        fd = open(path, flags, mode);
        if (fd >= 0 && !adopt(fd, flags)) {
            fd = -1; // and open for good, since to close it isn't safe
            errno = ENOMEM;
        }
    }
    leave();
    return fd;
}

static int close_file(int fd)
{
    enter();
    struct descriptor *closed = known(fd);
    if (closed == NULL) {
        leave();
        return close(fd);
    }
    closed->parked = true;
    if (--closed->file->users == 0) {
        drop(&closed->file->journal);
        set_lock(closed->file->lock_fd, F_UNLCK); // as closing does; SQLite relies on it
        sweep();
    }
    leave();
    return 0;
}

// lock_file is fcntl(). A descriptor that wasn't adopted gets no lock rather than one of the process.
static int lock_file(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (command == F_SETLKW) { // nobody could come in meanwhile; SQLite has it only for other builds
        errno = EINVAL;
        return -1;
    }
    if (command != F_GETLK && command != F_SETLK)
        return fcntl(fd, command, argument);

    struct flock *lock = argument;
    lock->l_pid = 0; // the kernel insists
    int result = -1;
    enter();
    struct descriptor *locked = known(fd);
    if (locked == NULL)
        errno = EBADF;
    else
        result = fcntl(locked->file->lock_fd, command == F_GETLK ? F_OFD_GETLK : F_OFD_SETLK, lock);
    leave();
    return result;
}

static int (*sqlite_open_directory)(const char *path, int *fd);

// database_of gives the file whose journal is at the path.
static struct file *database_of(const char *path)
{
    struct stat found;
    char *database = ends_in(path, "-journal") ? strndup(path, strlen(path) - strlen("-journal")) : NULL;
    struct file *file = database != NULL && stat_link(database, &found) == 0 ? find(&found) : NULL;
    free(database);
    return file;
}

// open_directory opens a file's folder for SQLite to sync it. It does so in each transaction, since the
// journal may be new: one that is kept needs it once, and a folder that can't be opened SQLite leaves.
static int open_directory(const char *path, int *fd)
{
    struct stat found;
    enter();
    struct file *file = database_of(path); // which SQLite has open, and locked against other writers
    bool known = file != NULL && file->journal.fd >= 0 && stat_link(path, &found) == 0 &&
                 is(&found, file->journal.device, file->journal.inode);
    leave();
    if (known) {
        *fd = -1;
        return CANTOPEN;
    }

    int journal = file != NULL ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    int result = sqlite_open_directory(path, fd);
    if (journal < 0)
        return result;
    if (result != 0 || stat_file(journal, &found) != 0 || fsync(*fd) != 0) {
        close(journal);
        return result;
    }
    close(*fd);
    *fd = -1;
    enter();
    drop(&file->journal);
    file->journal = (struct journal){.fd = journal, .device = found.st_dev, .inode = found.st_ino};
    leave();
    return CANTOPEN;
}

// map_file keeps a mapping from children: it would keep the file open there, and with it the locks.
static void *map_file(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    enter();
    void *mapped = mmap(address, length, protection, flags, fd, offset);
    if (mapped != MAP_FAILED && madvise(mapped, length, MADV_DONTFORK) != 0) {
        int cause = errno;
        munmap(mapped, length);
        mapped = MAP_FAILED;
        errno = cause;
    }
    leave();
    return mapped;
}

// abandon closes a child's copies of the descriptors: a child that outlived its parent would hold the
// parent's locks. It has none of its own yet that could be dropped.
static void abandon(void)
{
    for (int fd = 0; fd < capacity; fd++)
        if (descriptors[fd].file != NULL)
            forget(fd);
    for (struct file *file = files; file != NULL; file = file->next)
        drop(&file->journal);
    files = NULL;
    leave();
}

// The part of sqlite3.h that is needed. Weak, since the trial link of this package alone has none.
typedef void (*system_call)(void);
struct sqlite3_vfs {
    int iVersion;
    int szOsFile;
    int mxPathname;
    struct sqlite3_vfs *pNext;
    const char *zName;
    void *pAppData;
    void (*methods[13])(void); // xOpen to xCurrentTimeInt64
    int (*xSetSystemCall)(struct sqlite3_vfs *, const char *name, system_call);
    system_call (*xGetSystemCall)(struct sqlite3_vfs *, const char *name);
};
extern struct sqlite3_vfs *sqlite3_vfs_find(const char *name) __attribute__((weak));

bool ofdlocks_install(void)
{
    const struct {
        const char *name;
        system_call replacement;
    } calls[] = {
        {"open", (system_call)open_file},
        {"close", (system_call)close_file},
        {"fcntl", (system_call)lock_file},
        {"mmap", (system_call)map_file},
        {"openDirectory", (system_call)open_directory},
        {"stat", (system_call)stat_path},
        {"lstat", (system_call)stat_link},
        {"fstat", (system_call)stat_file},
        {"fchown", (system_call)give_away},
    };
    struct sqlite3_vfs *vfs = sqlite3_vfs_find != NULL ? sqlite3_vfs_find("unix") : NULL;
    if (vfs == NULL || vfs->iVersion < 3 || pthread_atfork(enter, leave, abandon) != 0)
        return false;
    sqlite_open_directory = (int (*)(const char *, int *))vfs->xGetSystemCall(vfs, "openDirectory");
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (vfs->xSetSystemCall(vfs, calls[i].name, calls[i].replacement) != 0)
            return false;
    return true;
}

int ofdlocks_probe(const char *path)
{
    int fd = open_file(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        fd = open_file(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return 0; // SQLite will say why

    int failure = 0;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = PROBE_OFFSET + getpid(), .l_len = 1};
    struct flock seen = lock;
    seen.l_type = F_WRLCK;
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0 || fcntl(fd, F_GETLK, &seen) != 0)
        failure = errno;
    else if (seen.l_type == F_UNLCK)
        failure = ENOLCK; // as the other SQLite would see it: not at all
    lock.l_type = F_UNLCK;
    fcntl(fd, F_OFD_SETLK, &lock);
    close_file(fd);
    return failure;
}
