// Package database opens the databases that MLflow keeps its state in and runs transactions on
// them.
//
// A caller never holds a connection: it hands a function to [DB.Read] or [DB.Write] and gets a
// [Tx]. Read sees one snapshot. Write returns once its work is durable; on SQLite, where a commit
// costs a disk flush and only one may be under way, the writes of many callers share one commit,
// a savepoint each.
//
// What differs between databases is a method of [Dialect], one file per database.
package database
