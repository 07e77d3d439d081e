// Package journals has SQLite write its rollback journals and write-ahead logs in few large pieces. SQLite
// itself makes two or three system calls for each page: the page's header, the page, a checksum. A log-batch
// of ten metrics takes some forty of them, one behind the other, before the one that it waits for, the sync.
//
// [VFS] is a layer over SQLite's own virtual file system (https://sqlite.org/vfs.html). It keeps what is
// written to a journal, as long as one write goes on where the last one ended, and hands it down before
// anything else is done with the file: a sync above all, without which SQLite relies on nothing in it.
// Databases and temporary files are SQLite's own.
//
// It has logs grow in large steps, too: to write over what is there takes a disk half of the time that it takes to
// make a file longer.
//
// Two settings belong to it, since an error shows later than SQLite would expect:
//
//   - PRAGMA synchronous = FULL, so that each commit ends in a sync: readers may look for it in the log then.
//   - PRAGMA cache_spill = OFF for whoever writes, so that all that a log takes between two syncs is one
//     commit's, and is forgotten with it.
package journals
