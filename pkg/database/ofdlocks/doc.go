// Package ofdlocks lets SQLite share files with another copy of SQLite in the same process, such as
// the one in Python's sqlite3 module. It is for the shared library; a server's process has one SQLite.
//
// SQLite takes POSIX record locks, which belong to the process: two copies don't see each other's, and
// when one closes a file, all locks of the process on that file are gone, the other's too. Both then
// write at once, and rows that were acknowledged are lost.
//
// [Protect] replaces nine of the system calls that SQLite makes:
//
//   - fcntl takes open-file-description locks (Linux 3.15), which conflict with everyone else's locks,
//     the process's own among them. They belong to what open returned, so all that SQLite takes on a
//     file go through one descriptor: SQLite counts on its connections sharing them.
//   - close keeps descriptors open while anyone has the file locked, since closing drops the other
//     copy's locks.
//   - open takes up such a descriptor again, where there is one.
//   - mmap keeps the index of a write-ahead log from forked children. A child's copies of the
//     descriptors are closed when it is made: they would keep the locks when its parent has died.
//   - openDirectory spares SQLite a sync: it syncs a journal's folder in each transaction, and a journal
//     that is kept between transactions needs that once.
//   - stat, lstat, fstat and fchown leave a file's times alone, which a sync would have to write as well.
package ofdlocks
